"""The table method by task: what was gained, over what chance gains, and what it broke."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sna_eval.errors import writing
from sna_eval.study.methods.options import MethodsOptions
from sna_eval.study.methods.units import MethodUnit
from sna_eval.study.statistics import paired_bootstrap, paired_permutation
from sna_eval.typed import Json

CONTROL = "random_neurons"
_UNSEARCHED = ("sna", "ungated")  # the plan's own


@dataclass(frozen=True)
class MethodRow:
    """One method on one task. Draws of random neurons make one row, by the mean of their items."""

    method: str
    task: str
    measure: str
    n_items: int
    n_amplified: int
    baseline: float
    amplified: float
    gain: float
    """`amplified - baseline`, of the means over test items."""
    low: float
    """95 % interval of the gain: paired bootstrap over items."""
    high: float
    p: float
    """Two-sided paired permutation test, uncorrected."""
    over_random: float
    """Gain less the mean gain of the searched random rankings."""
    specific: float
    """Mean specific gain in log-odds: what answers gain on their own prompts beyond what they gain
    on others, 0 where the gate stays closed; NaN for what changes prompts."""
    p_random: float
    """`(1 + #{random specific gain >= own}) / (1 + draws)` among the searched random rankings,
    which push as far as the plan; of generated texts, which have no specific gain, by the gain of
    their score. NaN for the control itself."""
    tried: int
    """Configurations that were tried on development items; 0 for the plan's own, whose search is
    not known here."""
    kl: float | None
    """Mean divergence of the next token on development items, in nats."""
    n_zone3: int
    harm_zone3: float
    """Mean change among confident items with the gate held open; the gate itself spares them."""
    strength: float | None
    seconds: float
    sees_answer: bool
    """Whether gate or direction looked at the right answer. The gain is descriptive then: items
    that a gate picks for an unlikely answer come back without help."""
    oracle: bool = False
    """Whether the direction followed it."""
    scale: float = 100.0
    """What values are shown by: 100, in points, or 1 for a score that goes beyond 0 to 1."""

    @property
    def label(self) -> str:
        """The method with its mark."""
        return f"{self.method} (oracle)" if self.oracle else self.method

    @property
    def descriptive(self) -> bool:
        """Whether the gain is no evidence, however large."""
        return self.sees_answer


@dataclass(frozen=True)
class MethodTable:
    """All rows, task by task, and what they were measured with."""

    rows: tuple[MethodRow, ...]
    settings: Json

    def without(self, method: str) -> list[str]:
        """Tasks that a method has no row of."""
        tasks = dict.fromkeys(row.task for row in self.rows)
        return [t for t in tasks if not any((r.method, r.task) == (method, t) for r in self.rows)]

    def frame(self) -> pd.DataFrame:
        return pd.DataFrame([{**asdict(row), "descriptive": row.descriptive} for row in self.rows])

    def save(self, folder: str | Path) -> Path:
        """Writes `methods.parquet`, `methods.csv` and `methods.json`.

        **Returns:** the JSON file.
        """
        folder, frame = Path(folder), self.frame()
        path = folder / "methods.json"
        rows = [
            {**{k: _json(v) for k, v in asdict(row).items()}, "descriptive": row.descriptive}
            for row in self.rows
        ]
        text = json.dumps({**self.settings, "rows": rows}, indent=1)
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            frame.to_parquet(folder / "methods.parquet", index=False)
            frame.to_csv(folder / "methods.csv", index=False)
            path.write_text(text + "\n", encoding="utf-8")
        return path


def make_table(
    units: Sequence[MethodUnit], options: MethodsOptions, *, settings: Json
) -> MethodTable:
    """Rows from units: each task's methods beside the same random draws."""
    tasks: dict[str, dict[str, list[MethodUnit]]] = defaultdict(lambda: defaultdict(list))
    for unit in units:
        name = CONTROL if unit.method == CONTROL else unit.label
        tasks[unit.task][name].append(unit)
    rows = []
    for measured in tasks.values():
        scale = _scale([unit for same in measured.values() for unit in same])
        rows += [
            replace(_row(name, same, measured[CONTROL], options), scale=scale)
            for name, same in measured.items()
        ]
    return MethodTable(tuple(rows), settings)


def _row(
    name: str, units: Sequence[MethodUnit], control: Sequence[MethodUnit], options: MethodsOptions
) -> MethodRow:
    first = units[0]
    before = np.array(first.before)
    after = np.mean([unit.after for unit in units], axis=0)
    everywhere = np.mean([unit.everywhere for unit in units], axis=0)
    gain = float(after.mean() - before.mean())
    specific = float(np.mean([_specific(unit) for unit in units]))
    interval = paired_bootstrap(before, after, draws=options.draws, seed=options.seed)
    return MethodRow(
        method=name,
        task=first.task,
        measure=first.measure,
        n_items=len(before),
        n_amplified=sum(first.amplified),
        baseline=float(before.mean()),
        amplified=float(after.mean()),
        gain=gain,
        low=interval.low,
        high=interval.high,
        p=paired_permutation(before, after, draws=options.draws, seed=options.seed),
        over_random=gain - float(np.mean([_gain(unit) for unit in control])),
        specific=specific,
        p_random=math.nan if name == CONTROL else _p_random(gain, specific, control),
        tried=0 if name in _UNSEARCHED else first.tried,
        kl=first.kl if len(units) == 1 else _mean_kl(units),
        n_zone3=first.zones.count(3),
        harm_zone3=_mean_change(before, everywhere, np.array(first.zones) == 3),
        strength=first.strength,
        seconds=sum(unit.seconds for unit in units) / len(units),
        sees_answer=first.sees_answer,
        oracle=first.oracle,
    )


def _gain(unit: MethodUnit) -> float:
    return float(np.mean(unit.after) - np.mean(unit.before))


def _specific(unit: MethodUnit) -> float:
    """Mean specific gain behind the gate."""
    if not unit.specific:
        return math.nan
    return float(np.mean(np.array(unit.specific) * np.array(unit.amplified)))


def _mean_kl(units: Sequence[MethodUnit]) -> float | None:
    known = [unit.kl for unit in units if unit.kl is not None]
    return float(np.mean(known)) if known else None


def _p_random(gain: float, specific: float, control: Sequence[MethodUnit]) -> float:
    """By specific gains where the random rankings have them, else by gains."""
    if not any(unit.specific for unit in control):
        return _p_among(gain, [_gain(unit) for unit in control])
    if math.isnan(specific):
        return math.nan
    return _p_among(specific, [_specific(unit) for unit in control])


def _scale(units: Sequence[MethodUnit]) -> float:
    """Of one task's values: points where none of them leaves 0 to 1."""
    values = [np.array([unit.before, unit.after, unit.everywhere]) for unit in units]
    inside = all((some >= 0).all() and (some <= 1).all() for some in values)
    return 100.0 if inside else 1.0


def _p_among(gain: float, control: Sequence[float]) -> float:
    """One-sided, never 0 (Phipson and Smyth 2010)."""
    return (1 + sum(drawn >= gain for drawn in control)) / (1 + len(control))


def _mean_change(
    before: NDArray[np.float64], after: NDArray[np.float64], inside: NDArray[np.bool_]
) -> float:
    return float((after - before)[inside].mean()) if inside.any() else math.nan


def _json(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
