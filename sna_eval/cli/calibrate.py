"""Finds zone boundaries for one's own model from a sweep, and writes them into a plan."""

from __future__ import annotations

import argparse

NAME = "calibrate"
HELP = "find the gates' boundaries that best separate gain from none"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("store", metavar="DIR", help="folder that `sna-eval sweep` wrote, on development items")
    add("--plan", required=True, help="plan that `sna-eval select` wrote from it")
    add("--output", required=True, help="file to write the plan to; may be the same")
    add("--gain", type=float, default=10.0, help="percent of P(target) that count as a gain")


def run(args: argparse.Namespace) -> int:
    from sna_eval.plan import load_plan, plan_fingerprint, save_plan
    from sna_eval.study.calibration import calibrate
    from sna_eval.study.sweep import SweepStore

    store = SweepStore.load(args.store)
    plan, found = calibrate(store, load_plan(args.plan), gain=args.gain)
    save_plan(plan, args.output)
    for fit in found:
        tasks = "task" if len(fit.tasks) == 1 else "tasks"
        mark = " (oracle)" if fit.oracle else ""
        print(
            f"{fit.signal}{mark}: low {fit.low:g}, high {fit.high:g}; {fit.n_gained} of "
            f"{fit.n_items} items of {len(fit.tasks)} {tasks} gain; J {fit.seen:.2f} where fitted, "
            f"{fit.held_out:.2f} held out"
        )
        if not fit.held_out > 0:
            print(f"{fit.signal}: confidence does not tell gain from none on items left out")
    print(f"{args.output}: plan {plan_fingerprint(plan)}")
    return 0
