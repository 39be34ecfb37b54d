"""Says which of a plan's neurons carry its effect and which only move confidence; cuts the plan."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from sna_eval.cli.common import add_model, add_tasks, task_arguments
from sna_eval.errors import InputError, writing
from sna_eval.files import REFERENCE_PLAN

if TYPE_CHECKING:
    from sna_eval.study.methods.diagnosis import Diagnosis

HELP = "find the neurons that carry a plan's effect, and cut the plan to them"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--plan", help=f"name of a bundled plan, or a plan file; default: {REFERENCE_PLAN}")
    add_tasks(parser, required=True)
    add_model(parser)
    add("--keep", type=float, default=0.9, help="share of the effect the cut plan is to carry")
    add("--output", help="plan file for the cut plan; a JSON file beside it holds all figures")


def run(args: argparse.Namespace) -> int:
    from sna_eval.argument_lists import parse_names
    from sna_eval.harness.loading import load_lm, load_tasks
    from sna_eval.plan import ModelSpec, Plan, plan_fingerprint, save_plan
    from sna_eval.study.methods.diagnosis import diagnose

    if args.output and Path(args.output).suffix == ".json":
        raise InputError(
            "--output", expected="a plan file such as cut.yaml", got=args.output,
            hint="the figures go into the .json file beside it",
        )  # fmt: skip
    tasks = load_tasks(
        parse_names(args.tasks), include_path=args.include_path,
        model_args=args.model_args, arguments=task_arguments(args),
    )  # fmt: skip
    lm = load_lm(args.model_args, plan=args.plan, otherwise=REFERENCE_PLAN)
    found = [diagnose(lm, name, task, keep=args.keep) for name, task in tasks.items()]
    for diagnosis in found:
        _print(diagnosis)
    if args.output:
        name = lm.plan.model.name or str(lm.pretrained)
        spec = ModelSpec(name, lm.sites.n_layers, lm.sites.d_mlp)
        plan = Plan({diagnosis.task: diagnosis.cut for diagnosis in found}, spec)
        save_plan(plan, args.output)
        _save_figures(found, args.output)
        print(f"{args.output}: plan {plan_fingerprint(plan)}, {len(plan.tasks)} tasks")
    return 0


def _print(diagnosis: Diagnosis) -> None:
    from sna_eval.intervention.sites import UNITS

    patching = diagnosis.patching
    kept = sum(
        len(s) for entry in diagnosis.cut.interventions for s in (entry.neurons or {}).values()
    )
    kinds = {one.unit for one in patching.neurons}
    units = UNITS[kinds.pop()] if len(kinds) == 1 else "units"
    print(
        f"{diagnosis.task}: P(target) {patching.baseline:.4f} -> {patching.amplified:.4f} on "
        f"{diagnosis.n_items} development items; {kept} of {len(patching.neurons)} {units} kept, "
        f"which together change it by {diagnosis.cut_effect:+.4f} (all: {patching.effect:+.4f})"
    )
    strongest = sorted(patching.neurons, key=lambda one: -abs(one.alone))[:5]
    for one in strongest:
        share = diagnosis.writing_of(one).null_share[one.neuron]
        kind = UNITS[one.unit].removesuffix("s")
        print(
            f"  layer {one.layer} {kind} {one.neuron}: alone {one.alone:+.5f}, "
            f"left out {-one.without:+.5f}, null share {share:.3f}"
        )
    names = ", ".join(f"{one.layer}:{one.neuron}" for one in diagnosis.entropy_neurons())
    print(f"  entropy {units} among them: {names or 'none'}")


def _save_figures(found: list[Diagnosis], output: str) -> None:
    path = Path(output).with_suffix(".json")
    text = json.dumps([diagnosis.as_dict() for diagnosis in found], indent=1)
    with writing(path):
        path.write_text(text + "\n", encoding="utf-8")
