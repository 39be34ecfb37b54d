"""Writes the plan of each task's best configuration, chosen on development items of a sweep."""

from __future__ import annotations

import argparse
import sys

from sna_eval.cli.common import say_descriptive

HELP = "choose each task's best configuration of a sweep, as a plan"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("store", metavar="DIR", help="folder that `sna-eval sweep` wrote")
    add("--output", required=True, help="file to write the plan to")
    add("--by", default="lower_bound", help="lower_bound of the mean effect (default), or mean")
    add("--confidence", type=float, default=0.95, help="of the lower bound, one-sided")
    add("--gate", default="confidence", help="confidence (default), or always: amplify every item")
    add("--measure", help="prob, acc or log_prob; default: acc where items have choices")
    add("--allow_oracle", action="store_true", help="allow directions that know the right answer")
    add("--force", action="store_true", help="choose on test items all the same; the plan says so")


def run(args: argparse.Namespace) -> int:
    from sna_eval.plan import plan_fingerprint, save_plan
    from sna_eval.study.choosing import SelectOptions, select
    from sna_eval.study.sweep import SweepStore

    store = SweepStore.load(args.store)
    selecting = SelectOptions(
        args.by, args.confidence, args.gate, args.measure, args.allow_oracle, args.force
    )
    selection = select(store, selecting)
    save_plan(selection.plan, args.output)
    for choice in selection.choices:
        row = choice.row
        bound = "" if choice.lower_bound is None else f", lower bound {choice.lower_bound:+.4f}"
        mark = " (oracle)" if choice.oracle else ""
        print(
            f"{choice.task}{mark}: layer {row['layer']}, {row['n_neurons']} "
            f"{choice.configuration.units}, "
            f"x{row['multiplier']:g}, {choice.measure} {choice.gain:+.4f}{bound}, "
            f"best of {choice.among}"
        )
    say_descriptive(selection.plan)
    if store.manifest["split"] == "test":
        print("chosen on test items: results on them are no evidence", file=sys.stderr)
    fingerprint = plan_fingerprint(selection.plan)
    print(f"{args.output}: plan {fingerprint}, {len(selection.choices)} tasks")
    return 0
