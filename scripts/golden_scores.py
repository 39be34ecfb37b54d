"""Writes the bundled model's scores, baseline and amplified, that the tests compare with.

    python scripts/golden_scores.py

To be run where a change of scores is meant: the difference shows in review. The bundled plan is
scored by real lm_eval, a few items of every bundled task, with `strict=true` and one item a batch.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from sna_eval.files import tasks_path
from sna_eval.harness.plugin.registration import register
from sna_eval.harness.values import evidence_of

TARGET = Path(__file__).resolve().parents[1] / "tests" / "regression" / "golden.json"
ITEMS = 6
"""Of each task."""


def scores(*, batch_size: int, strict: bool) -> dict[str, list[dict[str, Any]]]:
    """Both answers and the decision, by task and item."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    register()
    results = simple_evaluate(
        model="sna",
        model_args={"plan": "sna-reference", "strict": strict},
        tasks=["sna_all"],
        task_manager=TaskManager(include_path=[tasks_path()], include_defaults=False),
        device="cpu",
        batch_size=batch_size,
        limit=ITEMS,
        bootstrap_iters=0,
        log_samples=True,
    )
    assert results is not None
    return {
        task: [_item(sample) for sample in sorted(samples, key=lambda sample: sample["doc_id"])]
        for task, samples in sorted(results["samples"].items())
    }


def _item(sample: dict[str, Any]) -> dict[str, Any]:
    """The answers to an item's requests, in order."""
    given = [response[0] for response in sample["resps"]]
    evidence = [evidence_of(value) for value, _ in given]
    first = evidence[0]
    assert first is not None
    return {
        "amplified": first.amplified,
        "zone": first.zone,
        "baseline_scores": [one.baseline for one in evidence if one is not None],
        "scores": [float(value) for value, _ in given],
        "greedy": [bool(greedy) for _, greedy in given],
    }


def main() -> int:
    content = json.dumps(scores(batch_size=1, strict=True), indent=1)
    TARGET.write_text(content + "\n", encoding="utf-8")
    print(f"{TARGET}: {len(content):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
