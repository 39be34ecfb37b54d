"""One run of lm_eval from Python: baseline and amplified model, item by item.

python examples/one_run_two_answers.py
"""

from __future__ import annotations

from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager

import sna_eval

TASK = "sna_logic_hard"


def main() -> None:
    results = simple_evaluate(
        model="sna",
        model_args="pretrained=sna-reference,plan=sna-reference",
        tasks=[TASK],
        task_manager=TaskManager(include_path=sna_eval.tasks_path(), include_defaults=False),
        batch_size=16,
        bootstrap_iters=0,
    )
    metrics = results["results"][TASK]
    print(f"P(target): {metrics['baseline_prob,none']:.4f}, amplified {metrics['prob,none']:.4f}")
    print(f"amplified items: {metrics['amplified_fraction,none']:.0%}")
    print("plan fingerprint:", results["config"]["sna"]["plan_fingerprint"])

    by_change = sorted(results["samples"][TASK], key=lambda sample: sample["delta_prob"])
    for title, sample in (("most harmed", by_change[0]), ("most helped", by_change[-1])):
        doc = sample["doc"]
        print(
            f"{title}: {doc['prompt']!r} -> {doc['target']!r}, zone {sample['zone']:.0f}, "
            f"{sample['baseline_prob']:.4f} to {sample['prob']:.4f}"
        )


if __name__ == "__main__":
    main()
