"""Finds zone boundaries for one's own model from a sweep, and writes them into a plan."""

from __future__ import annotations

import argparse

HELP = "find boundaries of the gates that win more than they lose"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("store", metavar="DIR", help="folder that `sna-eval sweep` wrote, on development items")
    add("--plan", required=True, help="plan that `sna-eval select` wrote from it")
    add("--output", required=True, help="file to write the plan to; may be the same")
    add(
        "--gain",
        type=float,
        default=10.0,
        help="percent of the odds of the right answer that count",
    )


def run(args: argparse.Namespace) -> int:
    from sna_eval.plan import load_plan, plan_fingerprint, save_plan
    from sna_eval.study.calibration import calibrate, spoken
    from sna_eval.study.sweep import SweepStore

    store = SweepStore.load(args.store)
    plan, found = calibrate(store, load_plan(args.plan), gain=args.gain)
    save_plan(plan, args.output)
    for fit in found:
        print(spoken(fit))
    print(f"{args.output}: plan {plan_fingerprint(plan)}")
    return 0
