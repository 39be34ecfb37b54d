"""A run's files by hand: a task of each kind, with both answers as `--log_samples` writes them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

DATE = "2026-01-01T00-00-00.000001"
SHOTS = "shots\n" * 100
HOSTILE = "</script><script>window.hacked = 1</script> <img src=x onerror=window.hacked=2> &amp;"


def _common(number: int, zone: float | None, filter_name: str = "none") -> dict[str, Any]:
    opened = float(zone == 1)
    return {"doc_id": number, "doc": {}, "filter": filter_name, "zone": zone,
            "confidence": None if zone is None else 0.1 * zone, "decision": opened,
            "oracle": 0.0}  # fmt: skip


def choices(
    number: int, before: Sequence[float], after: Sequence[float], gold: int, *, zone: float = 1.0
) -> dict[str, Any]:
    """Multiple choice of colours; log-likelihoods as words, as lm_eval writes them."""
    words = [" red", " blue", " green"][: len(before)]
    right = [float(max(range(len(one)), key=one.__getitem__) == gold) for one in (before, after)]
    return {
        **_common(number, zone), "target": str(gold), "metrics": ["acc", "baseline_acc"],
        "arguments": {f"gen_args_{n}": {"arg_0": f"Colour {number}? {HOSTILE}", "arg_1": word}
                      for n, word in enumerate(words)},
        "resps": [[[str(value), "False"]] for value in after],
        "filtered_resps": [[str(value), "False"] for value in after],
        "baseline_filtered_resps": [[str(value), "False"] for value in before],
        "baseline_acc": right[0], "acc": right[1],
    }  # fmt: skip


def written(
    number: int, before: str, after: str, target: str, *, filter_name: str = "strict-match"
) -> dict[str, Any]:
    """A generated text of which the filter takes the last word."""
    taken = before.split()[-1], after.split()[-1]
    return {
        **_common(number, 1.0 if before != after else 3.0, filter_name), "target": target,
        "metrics": ["exact_match", "baseline_exact_match"],
        "arguments": {"gen_args_0": {"arg_0": f"Question {number}", "arg_1": {"until": ["\n"]}}},
        "resps": [[after]], "filtered_resps": [taken[1]],
        "baseline_resps": [[before]], "baseline_filtered_resps": [taken[0]],
        "baseline_exact_match": float(taken[0] == target),
        "exact_match": float(taken[1] == target),
    }  # fmt: skip


def continued(number: int, before: float, after: float) -> dict[str, Any]:
    """One continuation with its log-likelihoods; greedy, say, above one half."""
    return {
        **_common(number, 2.0), "target": " tail", "metrics": ["prob", "baseline_prob", "acc"],
        "arguments": {"gen_args_0": {"arg_0": f"{SHOTS}head {number}", "arg_1": " tail"}},
        "resps": [[[str(after), "False"]]], "filtered_resps": [[str(after), "False"]],
        "baseline_filtered_resps": [[str(before), "False"]],
        "prob": math.exp(after), "baseline_prob": math.exp(before),
        "acc": float(after > math.log(0.5)), "baseline_acc": float(before > math.log(0.5)),
    }  # fmt: skip


def lay_out(folder: Path, tasks: dict[str, list[dict[str, Any]]]) -> Path:
    """Writes the files; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {}
    for name, samples in tasks.items():
        lines = "\n".join(map(json.dumps, samples))
        (folder / f"samples_{name}_{DATE}.jsonl").write_text(lines, encoding="utf-8")
        metric = samples[0]["metrics"][0]
        mean = sum(sample[metric] for sample in samples) / len(samples)
        results[name] = {f"{metric},{samples[0]['filter']}": mean}
    raw = {
        "results": results, "configs": {name: {} for name in results}, "model_name": "<b>tiny</b>",
        "higher_is_better": {name: {"acc": True} for name in results},
        "config": {"model": "sna", "sna": {"plan_fingerprint": "12ab", "tasks": {}}},
    }  # fmt: skip
    (folder / f"results_{DATE}.json").write_text(json.dumps(raw))
    return folder


def small_run(folder: Path) -> Path:
    """Eight items, worked by hand: two turn right (colours 1, sums 0 by its strict filter) and two
    wrong (colours 2, sums 0 by the other); words 0 changes, and three stay as they were.
    """
    return lay_out(folder, {
        "colours": [
            choices(0, [-1, -2, -3], [-1, -2, -3], 0, zone=3.0),
            choices(1, [-1, -2, -3], [-4, -2, -3], 1),
            choices(2, [-1, -2], [-3, -2], 0),
        ],
        "sums": [
            written(0, "one and one make 3", "one plus one make 2", "2"),
            written(0, "one and one make 3", "one plus one make 2", "3", filter_name="last-word"),
            written(1, "it is 5", "it is 5", "5"),
        ],
        "words": [continued(0, -3.0, -2.0), continued(1, -2.0, -2.0)],
    })  # fmt: skip
