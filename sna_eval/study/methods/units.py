"""What one method did on one task, measured once and kept: the unit a table is resumed by."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sna_eval.harness.loading import ModelArguments, model_arguments, pretrained_name
from sna_eval.study.keeping import Kept, Settings
from sna_eval.typed import build


@dataclass(frozen=True)
class MethodUnit:
    """One variant on one task's test items."""

    label: str
    method: str
    task: str
    measure: str
    before: tuple[float, ...]
    """The unmodified model, by item."""
    after: tuple[float, ...]
    """With the method where the gate opens."""
    everywhere: tuple[float, ...]
    """With the method on every item, gate or no gate."""
    zones: tuple[int, ...]
    amplified: tuple[bool, ...]
    strength: float | None
    """Chosen on development items; `None` for methods without one."""
    seconds: float
    """Search, choice of strength and the gated run."""
    fingerprint: str
    """Of the resolved plan."""
    sees_answer: bool
    """Whether gate or direction looked at the right answer."""
    oracle: bool = False
    """Whether the direction followed it; of units from before it was kept, their plan says."""
    specific: tuple[float, ...] = ()
    """Change of each item's log-odds on its own prompt less the mean change of its answer on other
    prompts, gate held open; empty for what changes prompts."""
    tried: int = 1
    """Configurations that were tried on development items; of the plan's own, that is not known."""
    kl: float | None = None
    """Mean divergence of the next token on the development items it was chosen on, in nats."""
    items_hash: str = ""
    """Of the test items, and of the development items that were searched."""


class MethodUnits:
    """The units of one folder: those of one model, plan and way of measuring."""

    def __init__(self, folder: str | Path | None, settings: Settings) -> None:
        path = None if folder is None else Path(folder)
        self._kept = Kept(
            path and path / "units", settings, command="methods",
            file=path and path / "settings.json", as_today=_as_today,
        )  # fmt: skip

    def read(self, label: str, task: str, *, items_hash: str) -> MethodUnit | None:
        """The unit, if it was measured before.

        **Raises:** `InputError` where that was on other items.
        """
        name = f"{task}.{label}"
        unit: MethodUnit | None = self._kept.read(
            name, lambda raw: _checked(build(MethodUnit, raw), label, task)
        )
        if unit is not None:
            self._kept.check_items(name, unit.items_hash, items_hash)
        return unit

    def write(self, unit: MethodUnit) -> None:
        self._kept.write(f"{unit.task}.{unit.label}", asdict(unit))


@dataclass(frozen=True)
class KeptUnits:
    """One task's units: read where they are kept, else measured and kept."""

    units: MethodUnits
    task: str
    items_hash: str

    def get(self, label: str, measure: Callable[[], MethodUnit]) -> MethodUnit:
        unit = self.units.read(label, self.task, items_hash=self.items_hash)
        if unit is None:
            unit = replace(measure(), items_hash=self.items_hash)
            self.units.write(unit)
        return unit


def _checked(unit: MethodUnit, label: str, task: str) -> MethodUnit:
    """The unit; `ValueError` for another one's file, and for items that are not one to one."""
    if (unit.label, unit.task) != (label, task):
        raise ValueError(f"the unit {unit.label} of {unit.task}")
    items = (unit.before, unit.after, unit.everywhere, unit.zones, unit.amplified)
    if not unit.before or len(set(map(len, items))) > 1:
        raise ValueError("as many values, zones and decisions as items are needed")
    if unit.specific and len(unit.specific) != len(unit.before):
        raise ValueError("as many specific changes as items are needed")
    values = (*unit.before, *unit.after, *unit.everywhere, *unit.specific, unit.seconds)
    if any(map(math.isnan, values)):
        raise ValueError("a value is NaN")
    return unit


def model_settings(model_args: ModelArguments) -> dict[str, Any]:
    """The model in a folder's settings: by name, and with the arguments it is loaded with."""
    if not model_args:
        return {"model": "", "model_args": {}}
    return {"model": pretrained_name(model_args), "model_args": model_arguments(model_args)}


def _as_today(settings: Settings) -> Settings:
    """Settings as they are written now; before, `model` held the arguments as they were typed."""
    if "model_args" in settings:
        return dict(settings)
    return {**settings, **model_settings(settings["model"])}
