"""Measures what each task's amplification does to every other task and to plain text."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from sna_eval.cli.common import add_model, add_tasks, say_draws, task_arguments
from sna_eval.cli.terminal import resumable

if TYPE_CHECKING:
    from sna_eval.study.interference import Interference

HELP = "measure each task's amplification on every task and on plain text"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--plan", required=True, help="name of a bundled plan, or a plan file")
    add_model(parser)
    add_tasks(parser, otherwise="the plan's")
    add(
        "--output",
        required=True,
        help="folder of interference.json; a run that was stopped goes on",
    )
    add("--split", default="test", help="test (default) or development items")
    add("--limit", type=int, help="items per task at most")
    add("--text", help="file of plain text, one text a line; default: the bundled neutral ones")
    add("--random_draws", type=int, default=99, help="searches with random rankings, a task")
    add("--draws", type=int, default=2_000, help="bootstrap samples and permutations")
    add("--seed", type=int, default=0, help="of all that is drawn at random")


def run(args: argparse.Namespace) -> int:
    from sna_eval.argument_lists import parse_names
    from sna_eval.harness.loading import load_lm, load_tasks, pretrained_name
    from sna_eval.plan import load_plan
    from sna_eval.study.interference import InterferenceOptions, measure_interference

    asked = InterferenceOptions(
        split=args.split,
        limit=args.limit,
        text=args.text,
        random_draws=args.random_draws,
        draws=args.draws,
        seed=args.seed,
    )
    names = parse_names(args.tasks) if args.tasks else list(load_plan(args.plan).tasks)
    tasks = load_tasks(
        names, include_path=args.include_path,
        model_args=args.model_args, arguments=task_arguments(args),
    )  # fmt: skip
    say_draws(asked.random_draws, len(tasks))
    lm = load_lm(args.model_args, plan=args.plan)
    with resumable(f"what is done is in {args.output}, and the same command goes on there"):
        found = measure_interference(
            lm, tasks, asked, output=args.output, model_name=pretrained_name(args.model_args)
        )
    path = found.save(args.output)
    _print(found)
    print(f"{path}: {len(found.effects)} effects, plan {found.plan_fingerprint}")
    return 0


def _print(found: Interference) -> None:
    from sna_eval.study.interference import PLAIN_TEXT

    for name in found.interventions:
        others = [
            effect
            for effect in found.effects
            if effect.intervention == name and effect.subject not in (name, PLAIN_TEXT)
        ]
        worst = min(others, key=lambda effect: effect.percent, default=None)
        shown = [] if worst is None else [f"worst {worst.subject} {worst.percent:+.2f} %"]
        if name in found.subjects:
            shown.insert(0, f"itself {found.effect(name, name).percent:+.2f} %")
        text = found.effect(name, PLAIN_TEXT)
        shown.append(f"perplexity {text.before:.3f} to {text.after:.3f}")
        print(f"{found.label(name)}: {', '.join(shown)}")
