"""What lm_eval writes: result files and samples, and what is read from them."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

from sna_eval.app.core.runs import ResultFolder, open_folder, saved_run
from sna_eval.plan import acting_fingerprint
from sna_eval.study.compare import Options, compare, read_run, split
from sna_eval.study.summary import gated_gains
from tests.hostile.fuzz import Seed
from tests.hostile.loaders.base import TASK, Files, Loader

RUN = "results_2026-01-01T00-00-00.json"
SAMPLES = f"samples_{TASK}_2026-01-01T00-00-00.jsonl"
_ENTRY = {"layer": 1, "multiplier": 2.0, "neurons": [1]}
_GATE = {"signal": "target_prob", "low": 0.07, "high": 0.1, "transition": "leave",
         "mode": "confidence"}  # fmt: skip
_ACTS = acting_fingerprint({"gate": _GATE, "interventions": [_ENTRY]})
_CHOSEN = {"split": "development", "measure": "prob", "gain": 0.1, "n_items": 4, "among": 9,
           "fingerprint": _ACTS}  # fmt: skip
RESULTS: dict[str, Any] = {
    "results": {TASK: {"alias": TASK, "prob,none": 0.3, "prob_stderr,none": 0.1,
                       "baseline_prob,none": 0.2, "acc,none": 1 / 3, "acc_stderr,none": 0.1,
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
               "device": "cpu", "model_dtype": "torch.float32", "random_seed": 0, "limit": 3,
               "sna": {"plan_fingerprint": "00", "tasks": {TASK: {
                   "fingerprint": "00", "sees_answer": True, "amplified_fraction": 0.5,
                   "interventions": [{**_ENTRY,
                                      "found": {"method": "differential", "chosen": _CHOSEN}}],
                   "gate": _GATE}}}},
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
        "metrics": ["prob", "acc", "baseline_prob", "zone"], "prob": 0.2 + number / 10,
        "baseline_prob": 0.2, "acc": float(number % 2), "zone": 1.0, "decision": 1.0,
        "doc_hash": f"d{number}", "prompt_hash": f"p{number}", "target_hash": f"t{number}",
    }  # fmt: skip


_LINES = "\n".join(json.dumps(sample(number)) for number in range(3)).encode()


def _result_seeds() -> list[Seed]:
    return [Seed.json(one) for one in (RESULTS, RESULTS, OLD_RESULTS, ROW)]


def _sample_seeds() -> list[Seed]:
    unhashed = {key: one for key, one in sample(0).items() if not key.endswith("_hash")}
    return [Seed(_LINES), Seed.json(sample(0)), Seed.json(unhashed)]


def _load_results(folder: Path) -> None:
    """Reads the run and its items; some, since it takes time, are compared with themselves."""
    run = read_run(folder / RUN)
    for record in run.tasks.values():
        if record.items is not None:
            record.items()
    if run.amplified:
        split(run)
    content = (folder / RUN).read_bytes() + (folder / SAMPLES).read_bytes()
    if zlib.crc32(content) % 25 == 0:
        compare(run, run, Options(draws=100, force=True))


def _load_gated(folder: Path) -> None:
    gated_gains(folder / RUN, draws=20)


def _open_in_app(folder: Path) -> None:
    opened = open_folder(str(folder), draws=20)
    assert isinstance(opened, ResultFolder)
    saved_run(opened)


def _with_samples() -> Files:
    return {SAMPLES: _LINES}


def _with_results() -> Files:
    return {RUN: json.dumps(RESULTS).encode()}


LOADERS = {
    "results": Loader(RUN, _result_seeds, _load_results, _with_samples),
    "samples": Loader(SAMPLES, _sample_seeds, _load_results, _with_results),
    "gated results": Loader(RUN, lambda: [Seed.json(RESULTS)], _load_gated, _with_samples),
    "gated samples": Loader(SAMPLES, lambda: [Seed(_LINES)], _load_gated, _with_results),
    "app results": Loader(RUN, lambda: [Seed.json(RESULTS)], _open_in_app, _with_samples),
    "app samples": Loader(
        SAMPLES, lambda: [Seed(_LINES), Seed.json(sample(0))], _open_in_app, _with_results
    ),
}
