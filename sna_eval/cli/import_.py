"""Reads a PEFT IA3 adapter back into a plan file: entries other than 1 become neurons."""

from __future__ import annotations

import argparse

HELP = "turn an IA3 adapter into a plan"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("adapter", help="folder of the adapter")
    parser.add_argument("--output", required=True, help="file to write the plan to")
    parser.add_argument(
        "--task", default="*", help="task name or glob, where the adapter does not say (default *)"
    )


def run(args: argparse.Namespace) -> int:
    from sna_eval.export import import_ia3
    from sna_eval.plan import plan_fingerprint, save_plan

    plan = import_ia3(args.adapter, task=args.task)
    save_plan(plan, args.output)
    for name, task_plan in plan.tasks.items():
        for entry in task_plan.interventions:
            count = sum(len(neurons) for neurons in (entry.neurons or {}).values())
            print(f"{name}: layer {entry.layer}, x{entry.multiplier:g}, {count} neurons")
    print(f"{args.output}: plan {plan_fingerprint(plan)}")
    return 0
