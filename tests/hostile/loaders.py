"""Everything that reads files from outside, each with valid files to start from."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import save

from sna_eval.export import import_ia3
from sna_eval.gating import Gate
from sna_eval.harness import datasets
from sna_eval.plan import (
    Plan,
    PlannedIntervention,
    TaskPlan,
    bundled_plans,
    load_plan,
    plan_fingerprint,
    plan_to_dict,
    save_plan,
)
from sna_eval.study.choosing import select
from sna_eval.study.compare import Options, compare, read_run, split
from sna_eval.study.interference import Interference
from sna_eval.study.sweep.schemas import SCHEMAS
from sna_eval.study.sweep.store import SweepStore
from tests.hostile.fuzz import Seed

Files = Mapping[str, bytes]
"""Content by path in a folder."""


@dataclass(frozen=True)
class Loader:
    """Reads one file of a folder; the others stay as they should be."""

    target: str
    """The file that is damaged."""
    seeds: Callable[[], list[Seed]]
    """What it may hold."""
    load: Callable[[Path], Any]
    """Reads the folder."""
    beside: Callable[[], Files] = dict
    """The other files."""

    def lay_out(self, folder: Path) -> Path:
        """Writes the other files; returns where the damaged one belongs."""
        for name, content in self.beside().items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        (folder / self.target).parent.mkdir(parents=True, exist_ok=True)
        return folder / self.target


# Plans

RESOLVED = {
    "version": 1,
    "model": {"name": "tiny", "n_layers": 4, "d_mlp": 64},
    "defaults": {"gate": {"signal": "target_prob", "low": 0.07, "high": 0.1}},
    "tasks": {
        "sna_math_*": {
            "gate": "always",
            "interventions": [
                {"layer": 1, "multiplier": 2.5, "neurons": [1, 2], "scores": [0.5, 0.25],
                 "found": {"method": "differential", "model_hash": "00"}},
                {"layer": 3, "multiplier": 2, "positions": "last", "direction": "predicted",
                 "neurons": {"positive": [3], "negative": [4, 5]}},
            ],
        },
        "sna_sst2": {
            "gate": {"signal": "margin", "low": 0.3, "high": 0.6, "transition": "leave"},
            "interventions": [
                {"layer": 2, "multiplier": 12.0, "direction": "both",
                 "select": {"method": "contrastive", "top_k": 10, "pooling": "mean"}},
            ],
        },
    },
}  # fmt: skip


def _plan_seeds() -> list[Seed]:
    bundled = [Seed.yaml(plan_to_dict(load_plan(name))) for name in bundled_plans()]
    return [Seed.yaml(RESOLVED), *bundled[:1]]


def _load_plan(folder: Path) -> None:
    """What is accepted must come back equal."""
    plan = load_plan(folder / "plan.yaml")
    save_plan(plan, folder / "again.yaml")
    assert plan_fingerprint(load_plan(folder / "again.yaml")) == plan_fingerprint(plan)


# Items of tasks


def _items_seeds() -> list[Seed]:
    lines = [json.dumps({"question": f"{n} + 1 =", "target": f" {n + 1}"}) for n in range(3)]
    return [Seed("\n".join(lines).encode()), Seed.json({"question": "a", "target": " b"})]


def _load_items(folder: Path) -> None:
    datasets.read_items(folder / "test.jsonl")


def _tsv_seeds() -> list[Seed]:
    return [Seed("".join(f"a film {n}\t{n % 2}\n" for n in range(8)).encode())]


def _load_sst2(folder: Path) -> None:
    datasets.load_sst2(sst2_dir=str(folder))


# Result files and samples

TASK = "sna_math_easy"
RESULTS = {
    "results": {TASK: {"alias": TASK, "prob,none": 0.25, "prob_stderr,none": 0.1,
                       "baseline_prob,none": 0.2, "acc,none": 0.5, "acc_stderr,none": 0.1,
                       "sample_len": 3}},
    "group_subtasks": {TASK: [], "own_group": [TASK]},
    "configs": {TASK: {"task": TASK, "dataset_path": "json", "output_type": "loglikelihood",
                       "doc_to_text": "{{question}}", "test_split": "test",
                       "metric_list": [{"metric": "prob", "aggregation": "mean"}]}},
    "versions": {TASK: 1.0},
    "n-shot": {TASK: 0},
    "higher_is_better": {TASK: {"prob": True, "acc": True}},
    "n-samples": {TASK: {"original": 3, "effective": 3}},
    "config": {"model": "sna", "model_args": "pretrained=tiny,plan=p", "batch_size": "8",
               "device": "cpu", "model_dtype": "torch.float32", "random_seed": 0,
               "sna": {"plan_fingerprint": "00", "tasks": {TASK: {
                   "fingerprint": "00", "sees_answer": True, "interventions": [{"layer": 1}],
                   "gate": {"signal": "target_prob", "low": 0.07, "high": 0.1,
                            "transition": "leave", "mode": "confidence"}}}}},
    "task_hashes": {TASK: "00"},
    "model_name": "tiny", "lm_eval_version": "0.4.13", "transformers_version": "5.0",
    "pretty_env_info": "PyTorch version: 2.13.0\n", "max_length": 64,
    "system_instruction": None, "chat_template": None,
}  # fmt: skip
OLD_RESULTS = {
    "results": {"arc_challenge": {"acc": 0.3, "acc_stderr": 0.01, "acc_norm": 0.33},
                "harness|hellaswag|10": {"acc": 0.4, "acc_stderr": 0.005}},
    "versions": {"arc_challenge": 0, "harness|hellaswag|10": 0},
    "config": {"model": "hf", "model_args": "pretrained=tiny,dtype=float16", "num_fewshot": 0,
               "batch_size": 8, "device": "cuda", "limit": None},
}  # fmt: skip
ROW = {"fullname": "a/b", "Precision": "bfloat16", "Average \u2b06": 20.0, "IFEval": 30.0,
       "BBH": 10.0, "BBH Raw": 0.4, "MATH Lvl 5 Raw": 0.1, "GPQA Raw": 0.2, "MUSR Raw": 0.3,
       "MMLU-PRO Raw": 0.2}  # fmt: skip


def sample(number: int) -> dict[str, Any]:
    """A line of a sample file."""
    return {
        "doc_id": number, "doc": {"question": f"{number}"}, "target": " 1", "filter": "none",
        "arguments": {"gen_args_0": {"arg_0": f"{number} =", "arg_1": " 1"}},
        "resps": [[["-1.5", "False"]]], "filtered_resps": [["-1.5", "False"]],
        "metrics": ["prob", "acc", "baseline_prob"], "prob": 0.2 + number / 10,
        "baseline_prob": 0.2, "acc": float(number % 2), "doc_hash": f"d{number}",
        "prompt_hash": f"p{number}", "target_hash": f"t{number}",
    }  # fmt: skip


SAMPLES = "\n".join(json.dumps(sample(number)) for number in range(3)).encode()


def _result_seeds() -> list[Seed]:
    return [Seed.json(own) for own in (RESULTS, RESULTS, OLD_RESULTS, ROW)]


def _sample_seeds() -> list[Seed]:
    return [Seed(SAMPLES), Seed.json(sample(0))]


_RUN = "results_2026-01-01T00-00-00.json"
_SAMPLES = f"samples_{TASK}_2026-01-01T00-00-00.jsonl"


def _load_results(folder: Path) -> None:
    """Reads the run and its items; some, since it takes time, are compared with themselves."""
    run = read_run(folder / _RUN)
    for record in run.tasks.values():
        if record.items is not None:
            record.items()
    if run.amplified:
        split(run)
    content = (folder / _RUN).read_bytes() + (folder / _SAMPLES).read_bytes()
    if zlib.crc32(content) % 25 == 0:
        compare(run, run, Options(draws=100, force=True))


# Stores of sweeps

MANIFEST: dict[str, Any] = {
    "version": 1, "model": "tiny", "model_hash": "00", "n_layers": 4, "d_mlp": 64,
    "dtype": "float32", "split": "development", "limit": None, "pooling": "mean", "seed": 0,
    "tokens_per_pass": 64, "plan_fingerprint": "00", "versions": {"python": "3.11"},
    "tasks": {TASK: {
        "select": "differential", "n_items": 2, "items_hash": "0", "prompts_hash": "0",
        "gate": {"signal": "target_prob", "low": 0.07, "high": 0.1, "transition": "leave",
                 "mode": "confidence"},
        "grid": {"layers": [1], "n_neurons": [2], "multipliers": [1.5], "directions": ["both"]},
    }},
}  # fmt: skip


def tables() -> dict[str, pa.Table]:
    key = {"task": TASK, "layer": 1, "n_neurons": 2, "multiplier": 1.5, "direction": "both"}
    measured = {
        "model": "tiny", "plan_fingerprint": "00", "split": "development", "n_items": 2,
        "baseline_prob": 0.1, "amplified_prob": 0.2, "delta_prob": 0.1, "improvement_pct": 100.0,
        "zone": 1, "found": "{}", "oracle": False,
    }  # fmt: skip
    item = {"zone": 1, "confidence": 0.05, "baseline_prob": 0.1, "amplified_prob": 0.2}
    neurons = [
        {"task": TASK, "layer": 1, "label": "", "rank": rank, "neuron": rank + 4, "score": 0.5}
        for rank in range(2)
    ]
    rows = {
        "configurations": [{**key, **measured}],
        "items": [{**key, **item, "item": number} for number in range(2)],
        "neurons": neurons,
    }
    return {name: pa.Table.from_pylist(own, schema=SCHEMAS[name]) for name, own in rows.items()}


def parquet(name: str) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(tables()[name], sink, write_page_checksum=True)
    return bytes(sink.getvalue().to_pybytes())


def _store() -> Files:
    tables = {f"{name}/{TASK}/layer-001.parquet": parquet(name) for name in SCHEMAS}
    return {"manifest.json": json.dumps(MANIFEST).encode(), **tables}


def _load_store(folder: Path) -> None:
    store = SweepStore.load(folder)
    for table in (store.configurations(), store.items(), store.neurons()):
        assert table.num_rows >= 0
    selection = select(store)
    assert all(math.isfinite(choice.gain) for choice in selection.choices)


# Adapters

_VECTOR = torch.ones(1, 16)
_VECTOR[0, 3] = 2.5
_NAME = "base_model.model.transformer.h.2.mlp.c_proj.ia3_l"
_CONFIG = {"peft_type": "IA3", "base_model_name_or_path": "gpt2", "target_modules": ["c_proj"]}
_TASK_PLAN = TaskPlan(Gate(), (PlannedIntervention(2, 2.5, neurons={"": (3,)}),))


def _record() -> dict[str, Any]:
    return {"version": 1, "task": TASK, "plan": plan_to_dict(Plan({TASK: _TASK_PLAN}))}


def _adapter() -> Files:
    return {
        "adapter_config.json": json.dumps(_CONFIG).encode(),
        "adapter_model.safetensors": save({_NAME: _VECTOR}),
    }


def _load_ia3(folder: Path) -> None:
    plan_to_dict(import_ia3(folder))


# Effects on other tasks


def _interference_seeds() -> list[Seed]:
    effect = {"intervention": TASK, "subject": TASK, "n_items": 2, "before": 0.1, "after": 0.2,
              "low": 0.0, "high": 0.2, "p": 0.5}  # fmt: skip
    source = {"task": TASK, "fingerprint": "00", "parts": [["both", 1, 3, 2.5]]}
    values = {"version": 1, "model": "tiny", "plan_fingerprint": "00", "split": "development",
              "limit": None, "text": "neutral", "sources": [source], "effects": [effect],
              "controls": [], "versions": {}}  # fmt: skip
    return [Seed.json(values)]


def _load_interference(folder: Path) -> None:
    measured = Interference.load(folder)
    for effect in measured.effects:
        assert math.isfinite(effect.change) or effect.change != 0


LOADERS: dict[str, Loader] = {
    "plan": Loader("plan.yaml", _plan_seeds, _load_plan),
    "items": Loader("test.jsonl", _items_seeds, _load_items),
    "sst2": Loader("train.tsv", _tsv_seeds, _load_sst2, lambda: {"dev.tsv": b"good\t1\nbad\t0\n"}),
    "results": Loader(_RUN, _result_seeds, _load_results, lambda: {_SAMPLES: SAMPLES}),
    "samples": Loader(
        _SAMPLES, _sample_seeds, _load_results, lambda: {_RUN: json.dumps(RESULTS).encode()}
    ),
    "manifest": Loader("manifest.json", lambda: [Seed.json(MANIFEST)], _load_store, _store),
    "store": Loader(
        f"configurations/{TASK}/layer-001.parquet",
        lambda: [Seed(parquet("configurations"))], _load_store, _store,
    ),
    "store items": Loader(
        f"items/{TASK}/layer-001.parquet", lambda: [Seed(parquet("items"))], _load_store, _store
    ),
    "ia3": Loader(
        "adapter_model.safetensors", lambda: [Seed(save({_NAME: _VECTOR}))], _load_ia3, _adapter
    ),
    "ia3 config": Loader(
        "adapter_config.json", lambda: [Seed.json(_CONFIG)], _load_ia3, _adapter
    ),
    "ia3 record": Loader(
        "sna_export.json", lambda: [Seed.json(_record())], _load_ia3, _adapter
    ),
    "interference": Loader("interference.json", _interference_seeds, _load_interference),
}  # fmt: skip
