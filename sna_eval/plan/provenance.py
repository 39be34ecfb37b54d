"""Where a plan's neurons or parameters came from: how they were found, and how they were chosen.

A record holds what plan files say under `found`, key by key. What a file says beside the keys known
here, as other methods and versions do, is kept as it is; so is the order of the keys, and a plan
that is read and written again is the same to the letter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

_Own = TypeVar("_Own", bound="_Record")


@dataclass(frozen=True, kw_only=True)
class _Record:
    """Values by name, each `None` where a plan does not say it."""

    further: Mapping[str, Any] = field(default_factory=dict)
    """What else the plan says; values of another type than a key has are here too."""
    keys: tuple[str, ...] = field(default=(), compare=False, repr=False)
    """In the order in which they were read or told."""

    @classmethod
    def of(cls: type[_Own], raw: Mapping[str, Any]) -> _Own:
        """The record that plain values stand for; nothing is refused, and nothing lost."""
        hints = _types(cls)  # type: ignore[arg-type]  # classes do have a hash
        known: dict[str, Any] = {}
        for entry in fields(cls):
            if entry.name in raw and entry.name not in _OWN:
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
            if entry.name not in _OWN and (value := getattr(self, entry.name)) is not None
        } | dict(self.further)
        return {key: values[key] for key in dict.fromkeys([*self.keys, *values]) if key in values}

    def saying(self: _Own, **changes: Any) -> _Own:
        """The same record with other values, those of its fields or any that it is to carry."""
        return self.of({**self.to_dict(), **_plain(changes)})


_OWN = ("further", "keys")


@cache
def _types(record: type[_Record]) -> dict[str, Any]:
    """Types of a record's fields: a sweep makes thousands of records."""
    return get_type_hints(record)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
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
