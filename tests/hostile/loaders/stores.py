"""Stores of sweeps: the manifest and the three tables."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa

from sna_eval.plan import load_plan, plan_to_dict, save_plan
from sna_eval.reporting.provenance import made_table, sweep_commands
from sna_eval.study.calibration import calibrate
from sna_eval.study.choosing import select
from sna_eval.study.summary import summarise
from sna_eval.study.sweep.schemas import SCHEMAS
from sna_eval.study.sweep.store import SweepStore
from tests.hostile.fuzz import Seed
from tests.hostile.loaders.base import TASK, Files, Loader
from tests.hostile.loaders.formats import parquet_bytes, parquet_seed

MANIFEST: dict[str, Any] = {
    "version": 1, "model": "tiny", "model_hash": "00", "n_layers": 4, "d_mlp": 64,
    "dtype": "float32", "split": "development", "limit": None, "pooling": "mean", "seed": 0,
    "tokens_per_pass": 64, "plan_fingerprint": "00", "versions": {"python": "3.11"},
    "tasks": {TASK: {
        "select": "differential", "n_items": 4, "items_hash": "0", "prompts_hash": "0",
        "gate": {"signal": "target_prob", "low": 0.07, "high": 0.1, "transition": "leave",
                 "mode": "confidence"},
        "grid": {"layers": [1], "n_neurons": [2], "multipliers": [1.5], "directions": ["both"]},
    }},
}  # fmt: skip


def tables() -> dict[str, pa.Table]:
    """One configuration and four items, of which every other one gains."""
    key = {"task": TASK, "layer": 1, "n_neurons": 2, "multiplier": 1.5, "direction": "both"}
    measured = {
        "model": "tiny", "plan_fingerprint": "00", "split": "development", "n_items": 4,
        "baseline_prob": 0.1, "amplified_prob": 0.125, "delta_prob": 0.025,
        "improvement_pct": 25.0, "zone": 1, "found": "{}", "oracle": False,
        "source": "measured", "drawn": False,
    }  # fmt: skip
    items = [
        {**key, "item": number, "zone": 1, "confidence": 0.05 + number / 100,
         "baseline_prob": 0.1, "amplified_prob": 0.05 if number % 2 else 0.2}
        for number in range(4)
    ]  # fmt: skip
    neurons = [
        {"task": TASK, "layer": 1, "label": "", "rank": rank, "neuron": rank + 4, "score": 0.5}
        for rank in range(2)
    ]
    rows = {"configurations": [{**key, **measured}], "items": items, "neurons": neurons}
    return {name: pa.Table.from_pylist(row, schema=SCHEMAS[name]) for name, row in rows.items()}


def parquet(name: str) -> bytes:
    return parquet_bytes(tables()[name])


def file_of(name: str) -> str:
    """Where the one unit's table lies."""
    return f"{name}/{TASK}/layer-001.parquet"


def _store() -> Files:
    tables = {file_of(name): parquet(name) for name in SCHEMAS}
    return {"manifest.json": json.dumps(MANIFEST).encode(), **tables}


def _load(folder: Path) -> None:
    """All that is made of a store: tables, a plan, boundaries, and what the report says."""
    store = SweepStore.load(folder)
    for table in (store.configurations(), store.items(), store.neurons()):
        assert table.num_rows >= 0
    selection = select(store)
    assert all(math.isfinite(choice.gain) for choice in selection.choices)
    summarise(store, draws=5)
    made_table(store.manifest, None)
    sweep_commands(store.manifest)
    calibrate(store, selection.plan)


def _chosen_seeds() -> list[Seed]:
    """The plan that is chosen from the store."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in _store().items():
            (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / name).write_bytes(content)
        return [Seed.yaml(plan_to_dict(select(SweepStore.load(folder)).plan))]


def _calibrate(folder: Path) -> None:
    plan, _ = calibrate(SweepStore.load(folder), load_plan(folder / "chosen.yaml"))
    save_plan(plan, folder / "calibrated.yaml")
    assert load_plan(folder / "calibrated.yaml") == plan


def _loader(name: str) -> Loader:
    return Loader(file_of(name), lambda: [parquet_seed(tables()[name])], _load, _store)


LOADERS = {
    "manifest": Loader("manifest.json", lambda: [Seed.json(MANIFEST)], _load, _store),
    "store": _loader("configurations"),
    "store items": _loader("items"),
    "store neurons": _loader("neurons"),
    "chosen plan": Loader("chosen.yaml", _chosen_seeds, _calibrate, _store),
}
