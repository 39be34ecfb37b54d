"""How a plan asks for neurons, the key `select`, and what it says of how they were found, `found`.

What is found has a record beside it that holds what plan files say, key by key: which search it
was, on what, and how a configuration was chosen. What a file says beside the keys known here, as
other methods and versions do, is kept as it is; so is the order of the keys, and a plan that is
read and written again is the same to the letter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from sna_eval.errors import InputError
from sna_eval.neurons import MAX_PROMPTS, RANKINGS, SHARE, Pooling, SearchConfig, Sinks
from sna_eval.neurons.pairs import SUFFIX
from sna_eval.neurons.universal import Universal
from sna_eval.typed import Json

TOP_K = 10
"""Neurons per set, where nothing else is asked."""
DEVELOPMENT = "development"
_ADDED = ("across_layers", "share", "drop_universal", "unrelated_prompts")  # said where they count


@dataclass(frozen=True)
class Selection:
    """How neurons are to be found."""

    method: str = "differential"
    """The ranking: one of `sna_eval.neurons.rankings`."""
    top_k: int | None = None
    """Neurons per set, in one layer; with `across_layers` of all layers together, in place of
    `share`."""
    across_layers: bool = False
    """Whether the best of all layers together are taken, instead of those of one layer; the entry
    then names no `layer`, and acts in every layer that has one of them."""
    share: float | None = None
    """With `across_layers`, how many: a fraction of all neurons of the model, above 0 and up to 1;
    0.001 where neither it nor `top_k` is given."""
    prompts: str = DEVELOPMENT
    """Where prompts come from: the task's `development` items, never the test split; or a file of
    pairs, `.jsonl`, whose positive prompts are then set against its negative ones."""
    reference: Literal["neutral"] = "neutral"
    """What a task's prompts are compared with: the bundled neutral sentences."""
    pooling: Pooling = "mean"
    """Prompt tokens that count: all (`mean`), or the `last`; `attribution` and `gradient` sum over
    all."""
    seed: int | None = None
    """Which draw of `random`, from 0; `None` is the draw 0. No other method has one."""
    max_prompts: int = MAX_PROMPTS
    """Prompts at most, or pairs of them, spread evenly over the development split or the file."""
    sinks: Sinks = "drop"
    """Whether position 0 of a prompt is left out (`drop`) or counts (`keep`); for `gradient` it
    counts."""
    drop_universal: bool = False
    """Whether neurons are left out that are among the most active of all layers on at least 80 % of
    unrelated prompts."""
    unrelated_prompts: str | None = None
    """File of these prompts, one a line, for `drop_universal`; `None`: the bundled ones."""

    def __post_init__(self) -> None:
        settings = RANKINGS.find(self.method).settings
        _one_of("select.reference", self.reference, ("neutral",))
        _one_of("select.pooling", self.pooling, get_args(Pooling))
        _one_of("select.sinks", self.sinks, get_args(Sinks))
        self._settle_count()
        for name in ("top_k", "max_prompts"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"select.{name}", expected="at least 1", got=value)
        if self.pooling != "mean" and "pooling" not in settings:
            raise InputError(
                "select.pooling",
                expected=f"`mean` for `{self.method}`, which sums over all tokens",
                got=self.pooling, hint="remove it",
            )  # fmt: skip
        self._check_prompts(compares="reference" in settings)
        self._settle_seed(draws="seed" in settings)

    def _settle_count(self) -> None:
        if self.share is not None and not self.across_layers:
            raise InputError(
                "select.share", expected="`across_layers: true` beside it", got=self.share,
                hint="`top_k` says how many neurons of one layer",
            )  # fmt: skip
        if self.share is not None and self.top_k is not None:
            raise InputError(
                "select.top_k", expected="no such key beside `share`", got=self.top_k,
                hint="either says how many neurons of all layers together",
            )  # fmt: skip
        if self.share is not None and not 0 < self.share <= 1:
            raise InputError(
                "select.share", expected="a fraction of all neurons, above 0 and up to 1",
                got=self.share,
            )  # fmt: skip
        if self.top_k is None and self.across_layers:
            object.__setattr__(self, "share", SHARE if self.share is None else self.share)
        elif self.top_k is None:
            object.__setattr__(self, "top_k", TOP_K)

    def _check_prompts(self, *, compares: bool) -> None:
        if self.prompts != DEVELOPMENT and not self.prompts.endswith(SUFFIX):
            raise InputError(
                "select.prompts", expected=f"one of development, a file of pairs ({SUFFIX})",
                got=self.prompts,
            )  # fmt: skip
        if self.pairs is not None and not compares:
            raise InputError(
                "select.prompts",
                expected=f"development for `{self.method}`, which compares no two kinds of prompts",
                got=self.prompts, hint="use `differential` or `absolute`",
            )  # fmt: skip
        if self.unrelated_prompts is not None and not self.drop_universal:
            raise InputError(
                "select.unrelated_prompts", expected="`drop_universal: true` beside it",
                got=self.unrelated_prompts,
            )  # fmt: skip

    def _settle_seed(self, *, draws: bool) -> None:
        if draws:
            object.__setattr__(self, "seed", self.seed or 0)
        elif self.seed is not None:
            raise InputError(
                "select.seed", expected=f"no such key for `{self.method}`, which draws nothing",
                got=self.seed, hint="it belongs to `method: random`",
            )  # fmt: skip
        if self.seed is not None and self.seed < 0:
            raise InputError("select.seed", expected="a whole number from 0", got=self.seed)

    @property
    def pairs(self) -> str | None:
        """The file of pairs; `None` for a task's own prompts."""
        return None if self.prompts == DEVELOPMENT else self.prompts

    @property
    def config(self) -> SearchConfig:
        """The search that finds them."""
        universal = None
        if self.drop_universal:
            universal = Universal(self.share or SHARE, self.unrelated_prompts)
        return SearchConfig(
            self.method, self.pooling, self.seed or 0, self.max_prompts, self.sinks,
            pairs=self.pairs, universal=universal,
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """What counts for the method, in reading order."""
        settings = RANKINGS.find(self.method).settings
        unused = {"reference", "pooling", "seed"} - set(settings)
        if self.pairs is not None:
            unused.add("reference")
        return {
            name: value
            for name, value in asdict(self).items()
            if name not in unused and value is not None and (value or name not in _ADDED)
        }


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(name, expected=f"one of {', '.join(allowed)}", got=value)


_R = TypeVar("_R", bound="_Record")


@dataclass(frozen=True, kw_only=True)
class _Record:
    """Values by name, each `None` where a plan does not say it."""

    further: Json = field(default_factory=dict)
    """What else the plan says; values of another type than a key has are here too."""
    keys: tuple[str, ...] = field(default=(), compare=False, repr=False)
    """In the order in which they were read or told."""

    @classmethod
    def of(cls: type[_R], raw: Json) -> _R:
        """The record that plain values stand for; nothing is refused, and nothing lost."""
        hints = _types(cls)  # type: ignore[arg-type]  # classes do have a hash
        known: dict[str, Any] = {}
        for entry in fields(cls):
            if entry.name in raw and entry.name not in _OF_EVERY:
                value = _fitted(hints[entry.name], raw[entry.name])
                if value is not None:
                    known[entry.name] = value
        further = {key: value for key, value in raw.items() if key not in known}
        return cls(**known, further=further, keys=tuple(raw))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as plan files hold them."""
        values = {
            entry.name: value.to_dict() if isinstance(value, _Record) else value
            for entry in fields(self)
            if entry.name not in _OF_EVERY and (value := getattr(self, entry.name)) is not None
        } | dict(self.further)
        return {key: values[key] for key in dict.fromkeys([*self.keys, *values]) if key in values}

    def saying(self: _R, **changes: Any) -> _R:
        """The same record with other values, those of its fields or any that it is to carry."""
        return self.of({**self.to_dict(), **_plain(changes)})


_OF_EVERY = ("further", "keys")


@cache
def _types(record: type[_Record]) -> dict[str, Any]:
    """Types of a record's fields: a sweep makes thousands of records."""
    return get_type_hints(record)


def _plain(values: Json) -> dict[str, Any]:
    return {
        k: value.to_dict() if isinstance(value, _Record) else value for k, value in values.items()
    }


def _fitted(kind: Any, value: Any) -> Any:
    """A value as a field's type has it; `None` for a value of another type."""
    (kind,) = (option for option in get_args(kind) if option is not type(None))
    if isinstance(kind, type) and issubclass(kind, _Record):
        return kind.of(value) if isinstance(value, Mapping) else None
    if get_origin(kind) is dict:
        return value if isinstance(value, dict) else None
    if kind is float:
        return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    return value if type(value) is kind else None


@dataclass(frozen=True, kw_only=True)
class ChoiceRecord(_Record):
    """How a configuration was chosen among those of a sweep."""

    split: str | None = None
    """Items it was chosen on: `development`, or `test`."""
    selected_on_test_items: bool | None = None
    """Said where it was: results on them are no evidence."""
    oracle: bool | None = None
    """Said where its direction follows the right answer."""
    by: str | None = None
    """Criterion over items."""
    confidence: float | None = None
    """Of the lower bound, one-sided."""
    measure: str | None = None
    """What was compared: `acc`, `prob` or `log_prob`."""
    gain: float | None = None
    """Mean change of the measure over the items."""
    lower_bound: float | None = None
    """Of that mean, holding for the best of all that were compared; `None` where items of one
    answer have none. In plans of before it was that of one configuration by itself."""
    n_items: int | None = None
    """Items that the gain is a mean over."""
    n_clusters: int | None = None
    """Of items that go together."""
    ranked_apart: bool | None = None
    """Said where neurons were ranked on other items than these."""
    among: int | None = None
    """Configurations that were compared."""
    sweep: str | None = None
    """Fingerprint of the sweep's plan."""
    fingerprint: str | None = None
    """Of what the plan did when it was chosen: gate and neurons."""
    task_arguments: dict[str, Any] | None = None
    """What was said of the tasks that it was chosen on, `num_fewshot` and the like, if anything."""


@dataclass(frozen=True, kw_only=True)
class Provenance(_Record):
    """How neurons or parameters were found."""

    method: str | None = None
    """The ranking that neurons were chosen by."""
    top_k: int | None = None
    """Neurons per set, of all layers together where these were."""
    across_layers: bool | None = None
    """Said where the neurons are among the best of all layers together."""
    share: float | None = None
    """Their fraction of all neurons, where it was asked for by that."""
    prompts: str | None = None
    """Which prompts were read: `development`, a user's `own`, or a file of pairs by its name."""
    reference: str | None = None
    """What they were compared with: `neutral` text, a user's `own`, or `negative` prompts."""
    unit: str | None = None
    """What was searched, where it was not neurons: `head` or `feature`."""
    dictionary_hash: str | None = None
    """Of the dictionaries whose features were searched."""
    pooling: str | None = None
    """Prompt tokens that counted."""
    max_prompts: int | None = None
    """Prompts that were read at most."""
    sinks: str | None = None
    """Whether position 0 of a prompt counted: `drop` or `keep`; plans of before kept it."""
    seed: int | None = None
    """Which draw of random neurons."""
    by: str | None = None
    """The plan's method, where it is another than `sna`."""
    model_hash: str | None = None
    """Of the weights in which they were found."""
    prompt_hash: str | None = None
    """Of the prompts, in order, with their labels."""
    reference_hash: str | None = None
    """Of the text that they were compared with."""
    answer_hash: str | None = None
    """Of the right answers, where they were looked at."""
    n_prompts: int | None = None
    """How many prompts were read."""
    texts: str | None = None
    """What of an item was read, where it was not its prompt."""
    n_answers: int | None = None
    """Items whose right answers were looked at."""
    task_arguments: dict[str, Any] | None = None
    """What was said of the evaluation that the prompts were shown as in, `num_fewshot` and the
    like, if anything."""
    universal: dict[str, Any] | None = None
    """By which rule universal neurons were left out, and which these are."""
    task: str | None = None
    """Whose prompts they were, where the plan's task does not say it."""
    difference_norm: float | None = None
    """Length of the difference that a steering vector is; its strength is told in these units."""
    one_vs_neutral_overlap: float | None = None
    """Share of neurons that two classes, each against neutral text, would have had in common."""
    cut_from: int | None = None
    """Neurons before those were left out that do nothing."""
    chosen: ChoiceRecord | None = None
    """How the configuration was chosen; absent where it was not."""
