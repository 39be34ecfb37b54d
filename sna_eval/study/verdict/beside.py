"""Verdicts of other models, read from their folders, to stand in one figure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sna_eval.errors import reading
from sna_eval.files import read_json
from sna_eval.harness.loading import pretrained_name
from sna_eval.study.verdict.hypotheses import Judged
from sna_eval.study.verdict.registration import load_registration
from sna_eval.typed import build

REGISTRATION = "registration.yaml"
"""The copy of its registration that a verdict's folder holds."""


@dataclass(frozen=True)
class Beside:
    """One folder."""

    model: str
    first: Mapping[str, Judged]
    """H1 of each task."""


def read_beside(folders: Sequence[str | Path]) -> list[Beside]:
    """What folders of `sna-eval verdict` hold, in the order given.

    **Raises:** `InputError` for a folder without a verdict.
    """
    return [_read(Path(folder)) for folder in folders]


def _read(folder: Path) -> Beside:
    registration = load_registration(folder / REGISTRATION)
    with reading("beside", expected="a folder that `sna-eval verdict` wrote", got=str(folder)):
        content = read_json(folder / "verdict.json")
        first = {str(task): _judged(judged["H1"]) for task, judged in content.items()}
    return Beside(pretrained_name(registration.model.arguments), first)


def _judged(raw: Any) -> Judged:
    """As `verdict.json` has it: `null` where there is no number."""
    low, high = raw["interval"]
    plain = {**raw, "estimate": _number(raw["estimate"]), "interval": [_number(low), _number(high)]}
    return build(Judged, plain, "H1")


def _number(value: Any) -> Any:
    return math.nan if value is None else value
