"""What commands wrote and read again: interference, units of methods, and the caches."""

from __future__ import annotations

import json
import math
import os
import tempfile
from copy import deepcopy
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from unittest import mock

from sna_eval.cache import read_entry, write_entry
from sna_eval.reporting import tables
from sna_eval.reporting.provenance import made_table
from sna_eval.study.interference import Interference
from sna_eval.study.methods import MethodsOptions
from sna_eval.study.methods.formatting import format_summary, format_table
from sna_eval.study.methods.table import CONTROL, make_table
from sna_eval.study.methods.text_scores import Written, WrittenTexts
from sna_eval.study.methods.units import MethodUnit, MethodUnits
from tests.hostile.fuzz import Seed
from tests.hostile.loaders.base import TASK, Loader
from tests.hostile.loaders.stores import MANIFEST

# Interference

EFFECTS: dict[str, Any] = {
    "version": 1, "model": "tiny", "plan_fingerprint": "00", "split": "test", "limit": None,
    "text": "neutral",
    "sources": [
        {"task": name, "fingerprint": "00", "parts": [["both", 1, 3, 2.5]]} for name in ("a", "b")
    ],
    "effects": [
        {"intervention": one, "subject": other, "n_items": 2, "before": 0.1, "after": 0.2,
         "low": 0.0, "high": 0.2, "p": 0.5, "acc_before": 0.5, "acc_after": None}
        for one in ("a", "b", "all together") for other in ("a", "b", "plain text")
    ],
    "controls": [
        {"task": "a", "change": 0.1, "random_changes": [0.0, 0.2], "p": 0.5, "p_holm": 0.5,
         "p_bh": 0.5}
    ],
    "versions": {"python": "3.11"},
}  # fmt: skip


def _load_interference(folder: Path) -> None:
    """All that a report's text says of it."""
    measured = Interference.load(folder)
    assert measured.matrix().shape == (len(measured.interventions), len(measured.subjects))
    tables.text_table(measured)
    tables.asymmetry_table(measured)
    tables.control_table(measured.controls)
    if len(measured.sources) > 1:
        tables.together_table(measured)
    made_table(MANIFEST, measured)


# Units of `sna-eval methods`

SETTINGS = {"model": "tiny", "model_args": {}, "model_hash": "00", "limit": None}
_UNIT = MethodUnit(
    label="sna", method="sna", task=TASK, measure="prob", before=(0.1, 0.2), after=(0.2, 0.2),
    everywhere=(0.2, 0.1), zones=(1, 3), amplified=(True, False), strength=None, seconds=1.5,
    fingerprint="00", sees_answer=False,
)  # fmt: skip


def _load_unit(folder: Path) -> None:
    """The unit beside a control, in the table that the command prints."""
    unit = MethodUnits(folder, SETTINGS).read("sna", TASK, items_hash="")
    assert unit is not None
    control = replace(_UNIT, label=f"{CONTROL}_0", method=CONTROL)
    if len(unit.before) != len(_UNIT.before):
        return
    table = make_table([unit, control], MethodsOptions(draws=20), settings=SETTINGS)
    format_table(table)
    format_summary(replace(table, settings={**SETTINGS, "plan_fingerprint": "00"}))
    table.save(folder / "again")


_WRITTEN = Written(scores=(0.0, 1.0), zones=(1, 3), amplified=(True, False), items_hash="00")


def _load_written(folder: Path) -> None:
    """What the unmodified model wrote, or the one line that it is no such file."""
    name = f"{TASK}.test"
    written = WrittenTexts(folder, SETTINGS).get(name, "00", lambda: _WRITTEN)
    assert len(written.scores) == len(written.zones) == len(written.amplified)
    assert all(map(math.isfinite, written.scores))


def _load_settings(folder: Path) -> None:
    MethodUnits(folder, SETTINGS)


# The cache of what was found

ENTRY = {"selected": {"": {"neurons": [3, 5], "scores": [0.5, 0.25]}}, "remarks": {"n": 1},
          "parameters": {"vector": [0.5]}, "layer": None}  # fmt: skip


def _entry_seeds() -> list[Seed]:
    with tempfile.TemporaryDirectory() as folder:
        with mock.patch.dict(os.environ, {"SNA_EVAL_CACHE": folder}):
            write_entry("entry", ENTRY)
        return [Seed.json(json.loads((Path(folder) / "entry.json").read_text()))]


def _load_entry(folder: Path) -> None:
    """The entry as it was written, or none."""
    with mock.patch.dict(os.environ, {"SNA_EVAL_CACHE": str(folder)}):
        assert read_entry("entry") in (None, ENTRY)


LOADERS = {
    "interference": Loader(
        "interference.json", lambda: [Seed.json(deepcopy(EFFECTS))], _load_interference
    ),
    "methods unit": Loader(
        f"units/{TASK}.sna.json", lambda: [Seed.json(asdict(_UNIT))], _load_unit
    ),
    "methods texts": Loader(
        f"texts/{TASK}.test.json", lambda: [Seed.json(asdict(_WRITTEN))], _load_written
    ),
    "methods settings": Loader("settings.json", lambda: [Seed.json(SETTINGS)], _load_settings),
    "cache entry": Loader("entry.json", _entry_seeds, _load_entry),
}  # fmt: skip
