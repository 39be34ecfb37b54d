"""The outcome of measuring interference, and the file it is kept in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sna_eval.errors import reading, writing
from sna_eval.files import read_json
from sna_eval.measuring.grid import Configuration
from sna_eval.study.interference.controls import RandomNull
from sna_eval.typed import build

ALL = "all together"
"""The name of all interventions at once."""
PLAIN_TEXT = "plain text"
"""The name of the text as a subject."""
VERSION = 1
FILE = "interference.json"

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class AppliedPlan:
    """A task's intervention, as it was applied."""

    task: str
    fingerprint: str
    parts: tuple[Configuration, ...]
    """One a layer."""
    oracle: bool = False
    """Whether a direction followed the right answer; true of every part towards `gold`."""
    configuration: str = ""
    """Hash of what acts, neurons included."""

    def __post_init__(self) -> None:
        gold = any(part.oracle for part in self.parts)
        object.__setattr__(self, "oracle", self.oracle or gold)


@dataclass(frozen=True)
class CrossEffect:
    """What an intervention does to a subject: P(target) of a task, perplexity of a text."""

    intervention: str
    subject: str
    n_items: int
    before: float
    after: float
    low: float
    """Paired bootstrap interval of the change, over items, those of one cluster together."""
    high: float
    p: float
    """Paired permutation test over items, those of one cluster together; two-sided."""
    acc_before: float | None = None
    """`None` without choices."""
    acc_after: float | None = None
    n_clusters: int | None = None
    """Of a task's items; `None` of plain text, and in files of before."""
    design_effect: float | None = None
    """Variance of the mean change over that of as many independent items; `None` also where
    nothing changes."""
    log_odds_before: float | None = None
    """Mean log-odds of a task's right answers; `None` as `n_clusters` is."""
    log_odds_after: float | None = None

    @property
    def change(self) -> float:
        return self.after - self.before

    @property
    def percent(self) -> float:
        """Change in percent of what was before; NaN where that is 0."""
        return self.change / self.before * 100 if self.before else float("nan")


@dataclass(frozen=True)
class Interference:
    """All effects of a plan's interventions."""

    model: str
    plan_fingerprint: str
    split: str
    limit: int | None
    text: str
    """Where the plain text came from."""
    sources: tuple[AppliedPlan, ...]
    effects: tuple[CrossEffect, ...]
    controls: tuple[RandomNull, ...]
    versions: Mapping[str, str]

    @property
    def interventions(self) -> tuple[str, ...]:
        """Names of what was applied, `ALL` last where there is more than one."""
        return tuple(dict.fromkeys(effect.intervention for effect in self.effects))

    @property
    def subjects(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(effect.subject for effect in self.effects))

    def label(self, intervention: str) -> str:
        """An intervention's name, marked where its direction followed the right answer."""
        names = {source.task for source in self.sources if source.oracle}
        oracle = bool(names) if intervention == ALL else intervention in names
        return f"{intervention} (oracle)" if oracle else intervention

    @cached_property
    def _by_pair(self) -> dict[tuple[str, str], CrossEffect]:
        return {(effect.intervention, effect.subject): effect for effect in self.effects}

    def effect(self, intervention: str, subject: str) -> CrossEffect:
        """One effect."""
        return self._by_pair[intervention, subject]

    def matrix(self, *, percent: bool = True) -> Floats:
        """Changes, `[intervention, subject]`."""
        return np.array(
            [
                [
                    effect.percent if percent else effect.change
                    for effect in (self.effect(name, subject) for subject in self.subjects)
                ]
                for name in self.interventions
            ]
        )

    def asymmetry(self, first: str, second: str) -> float:
        """Percent that `first`'s intervention changes `second`, minus the other way round.

        0 where two tasks disturb each other alike; the sign turns when the tasks are exchanged.
        """
        return self.effect(first, second).percent - self.effect(second, first).percent

    def save(self, folder: str | Path) -> Path:
        """Writes the file into a folder."""
        path = Path(folder)
        content = json.dumps({"version": VERSION, **asdict(self)}, indent=2)
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
            (path / FILE).write_text(content + "\n", encoding="utf-8")
        return path / FILE

    @classmethod
    def load(cls, folder: str | Path) -> Interference:
        """Reads what `save` wrote.

        **Raises:** `InputError` for anything else.
        """
        path = Path(folder)
        path = path / FILE if path.is_dir() else path
        with reading(
            "interference",
            expected="a folder that `sna-eval interference` wrote",
            got=str(folder),
            hint="check the path",
        ):
            raw = _as_today(read_json(path))
            if raw.pop("version") != VERSION:
                raise ValueError("written by another version")
            measured = build(cls, raw)
            measured._check_effects()
            return measured

    def _check_effects(self) -> None:
        """Raises `ValueError` unless every intervention has one effect on every subject."""
        names = {source.task for source in self.sources}
        applied = {*names, ALL} if len(names) > 1 else names
        subjects = {*self.subjects, *names, PLAIN_TEXT}
        known = all(one in applied for one, _ in self._by_pair)
        whole = len(self._by_pair) == len(self.effects) == len(applied) * len(subjects)
        if not (known and whole):
            raise ValueError("effects are missing, twice or of unknown interventions")


def _as_today(raw: Any) -> Any:
    """A file as it is written now; before, a part was the list of its values.

    **Raises:** `ValueError` for a list of others.
    """
    sources = raw.get("sources") if isinstance(raw, dict) else None
    for source in sources if isinstance(sources, list) else ():
        parts = source.get("parts") if isinstance(source, dict) else None
        if isinstance(parts, list):
            source["parts"] = [_part(part) if isinstance(part, list) else part for part in parts]
    return raw


def _part(values: list[Any]) -> dict[str, Any]:
    names = ("direction", "layer", "n_neurons", "multiplier")
    if len(values) != len(names):
        raise ValueError(f"a part has {len(values)} entries, not {len(names)}")
    return dict(zip(names, values, strict=True))
