"""Finds the neurons a plan's `select:` entries ask for, and writes the resolved plan."""

from __future__ import annotations

import argparse
from dataclasses import replace

from sna_eval.cli.common import add_model, add_tasks, say_descriptive, task_arguments

HELP = "turn a plan with `select:` into one with neuron indices"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    parser.add_argument("--plan", required=True, help="name of a bundled plan, or a plan file")
    add_tasks(parser, required=True)
    parser.add_argument("--output", required=True, help="file to write the resolved plan to")


def run(args: argparse.Namespace) -> int:
    from sna_eval.argument_lists import parse_names
    from sna_eval.harness.loading import load_lm, load_tasks
    from sna_eval.intervention.sites import UNITS
    from sna_eval.plan import ModelSpec, plan_fingerprint, save_plan

    tasks = load_tasks(
        parse_names(args.tasks), include_path=args.include_path,
        model_args=args.model_args, arguments=task_arguments(args),
    )  # fmt: skip
    lm = load_lm(args.model_args, plan=args.plan)
    lm.plans.for_tasks(tasks)
    named = lm.plan.model.name or str(lm.pretrained)
    spec = ModelSpec(named, lm.sites.n_layers, lm.sites.d_mlp)
    plan = replace(lm.plan, tasks=lm.plans.resolved, model=spec)
    save_plan(plan, args.output)
    for name, task_plan in plan.tasks.items():
        for entry in task_plan.interventions:
            sets = entry.neurons or {}
            counts = {label or "all": len(neurons) for label, neurons in sets.items()}
            what = f"x{entry.multiplier}, {UNITS[entry.unit]} {counts}"
            if not entry.how.chooses_neurons:
                what = f"{entry.method}, strength {entry.strength:g}"
            print(f"{name}: layer {entry.layer}, {what}")
    say_descriptive(plan)
    print(f"{args.output}: plan {plan_fingerprint(plan)}, {len(plan.tasks)} tasks")
    return 0
