"""What is tested, written down and hashed before any test item is scored.

The file is YAML that a person can read and anybody may have changed since: its own hash tells. A
hash is no lock; it makes a change visible to whoever holds the file or the hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from sna_eval.cache import digest
from sna_eval.errors import InputError, reading, writing
from sna_eval.files import read_text, write_whole
from sna_eval.gating import Gate
from sna_eval.harness.tasks.contexts import TaskArguments
from sna_eval.study.nulls import NullOptions
from sna_eval.typed import Json, build

VERSION = 1
ENDPOINTS: Mapping[str, str] = {
    "H1": "gain in specific log-odds over random rankings given the same search and push",
    "H2": "gain on zone 1 less gain on zone 3, gate held open, over the same random rankings",
    "H3": "gain over the temperature of equal entropy",
    "H4": "gain over the neurons of the other tasks, at equal push",
    "H5": "no harm to confident right items, to plain text, to generations",
}
EXCLUSIONS = (
    "items without a right answer are left out",
    "a score that is no finite number counts as the unmodified model's",
    "a task without development items is refused",
)
Correction = Literal["holm", "none"]


@dataclass(frozen=True)
class RegisteredItems:
    """Items of one split."""

    items: int
    answers: int
    """Distinct right answers: clusters of items."""
    hash: str


@dataclass(frozen=True)
class RegisteredGate:
    """Whose items count, and the zones of H2 and H5."""

    signal: str
    low: float
    high: float
    mode: Literal["confidence", "always"]
    transition: Literal["leave", "amplify"] = "leave"

    def gate(self) -> Gate:
        return Gate(self.signal, self.low, self.high, self.transition, self.mode)


@dataclass(frozen=True)
class Power:
    """What the test of H1 will find, simulated from random rankings on development items."""

    spread: float
    """Standard deviation of random rankings' gains, in log-odds."""
    at_smallest: float
    """Share of simulated tests that show the smallest effect of interest."""
    detectable: float | None
    """Effect that 80 % of simulated tests show; `None` where the draws allow none."""


@dataclass(frozen=True)
class RegisteredTask:
    """One task."""

    version: str
    development: RegisteredItems
    test: RegisteredItems
    gate: RegisteredGate
    power: Power


@dataclass(frozen=True)
class RegisteredSearch:
    """The search, for the claim and for random rankings alike."""

    select: str | None = None
    claim_seed: int = 0
    layers: tuple[int, ...] | None = None
    n_neurons: tuple[int, ...] | None = None
    multipliers: tuple[float, ...] | None = None
    draws: int = 99
    measured: int = 4
    limit: int | None = None
    development_limit: int | None = None
    seed: int = 0

    def options(self, gate: Gate) -> NullOptions:
        """As the searched null takes it."""
        return NullOptions(gate=gate, **asdict(self))


@dataclass(frozen=True)
class Limits:
    """What counts as an effect, as no harm, and as chance."""

    alpha: float = 0.05
    smallest: float = 0.1
    """Smallest effect of interest, in log-odds."""
    harm: float = 0.01
    """Largest share of confident right items that may become wrong."""
    perplexity: float = 0.01
    """Largest rise of perplexity of plain text."""
    repetition: float = 0.01
    """Largest rise of the share of repeated trigrams in generations."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0 < value < 1 and not (name == "smallest" and value > 0):
                raise InputError(f"limits.{name}", expected="a number between 0 and 1", got=value)


@dataclass(frozen=True)
class RegisteredModel:
    arguments: str
    """As `--model_args` takes them."""
    hash: str


@dataclass(frozen=True)
class Registration:
    """All of it."""

    model: RegisteredModel
    tasks: Mapping[str, RegisteredTask]
    search: RegisteredSearch
    limits: Limits
    correction: Correction
    """Over tasks; `none` where the draws are too few for any p-value to stand it."""
    task_arguments: Json = field(default_factory=dict)
    include_path: str | None = None
    endpoints: Mapping[str, str] = field(default_factory=lambda: dict(ENDPOINTS))
    exclusions: tuple[str, ...] = EXCLUSIONS
    made_with: Mapping[str, str] = field(default_factory=dict)
    """Versions of what it was registered with."""
    version: int = VERSION

    @property
    def hash(self) -> str:
        """Of everything that is registered."""
        return digest(asdict(self))

    def arguments(self) -> TaskArguments:
        """What was said of tasks beside their names."""
        return TaskArguments(**self.task_arguments)

    def save(self, path: Path) -> None:
        """Writes the file."""
        content = {"registration": self.hash, **_plain(asdict(self))}
        text = _HEAD + yaml.safe_dump(content, sort_keys=False, width=100, allow_unicode=True)
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, text.encode("utf-8"))


_HEAD = (
    "# Registered before any test item was scored. `sna-eval verdict` refuses this file if its\n"
    "# content no longer has the hash below.\n"
)


def load_registration(path: Path) -> Registration:
    """A registration, as it was written.

    **Raises:** `InputError` for a file that is none, and for one that was changed.
    """
    with reading(
        str(path), expected="a registration, as `sna-eval register` writes it", got=path.name
    ):
        content = _mapping(read_text(path))
        stated = content.pop("registration", None)
        found = build(Registration, content)
    if found.version != VERSION:
        raise InputError(f"{path}: version", expected=str(VERSION), got=found.version)
    if stated != found.hash:
        raise InputError(
            f"{path}: registration", expected=f"the hash of what it says, {found.hash}", got=stated,
            hint="it was changed after it was written: register anew, before looking at results",
        )  # fmt: skip
    return found


def check_hash(place: str, *, registered: str, now: str, what: str) -> None:
    """Raises `InputError` where something is not what was registered."""
    if registered != now:
        raise InputError(
            place, expected=f"{what} with the registered hash {registered}", got=now,
            hint="a verdict is about what was registered: bring that back, or register anew",
        )  # fmt: skip


def _mapping(text: str) -> dict[str, Any]:
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError("no YAML") from error
    if not isinstance(content, dict):
        raise ValueError("no mapping")
    return content


def _plain(value: Any) -> Any:
    """Tuples as lists: what YAML has."""
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, (list, tuple)) else value
