"""Writes a sweep's report: one HTML file that opens without a network, and its figures."""

from __future__ import annotations

import argparse
import shlex

HELP = "write a sweep's report as one HTML file, with its figures"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("store", metavar="DIR", help="folder that `sna-eval sweep` wrote")
    add("--labelled", metavar="DIR", help="sweep of tasks with choices, for its response curves")
    add("--results", metavar="DIR", help="what lm_eval wrote for the plan, with --log_samples")
    add("--interference", metavar="DIR", help="folder that `sna-eval interference` wrote")
    add("--output", help="file to write; default: DIR/report/index.html")
    add("--draws", type=int, default=10_000, help="bootstrap samples and random deals")


def run(args: argparse.Namespace) -> int:
    from sna_eval.reporting.report import ReportOptions, write_report
    from sna_eval.study.interference import Interference
    from sna_eval.study.summary import gated_gains
    from sna_eval.study.sweep import SweepStore

    store = SweepStore.load(args.store)
    further = ReportOptions(
        measured=Interference.load(args.interference) if args.interference else None,
        gated=gated_gains(args.results, draws=args.draws) if args.results else (),
        labelled=(SweepStore.load(args.labelled),) if args.labelled else (),
    )
    written = write_report(
        store, args.output, further=further, command=_typed(args), draws=args.draws
    )
    print(f"{written.page}: {written.page.stat().st_size / 1e6:.1f} MB")
    print(f"{written.page.parent / 'figures'}: {len(written.figures)} files")
    return 0


def _typed(args: argparse.Namespace) -> str:
    """The command as it can be typed again."""
    words = ["sna-eval", "report", args.store]
    for name in ("labelled", "results", "interference", "output"):
        if getattr(args, name):
            words += [f"--{name}", getattr(args, name)]
    return shlex.join([*words, "--draws", str(args.draws)])
