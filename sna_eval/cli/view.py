"""Writes a run's items as one HTML page to read them on: both answers beside each other, to be
filtered by task, zone and flip, searched, and sorted by size of change. Opens without a network.
"""

from __future__ import annotations

import argparse

HELP = "write a run's items as one HTML page, both answers beside each other"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("run_folder", metavar="RUN", help="what lm_eval wrote with --output_path and --log_samples")
    add("--output", metavar="FILE", help="page to write; default: view.html beside the results")
    add("--tasks", help="names or globs, comma-separated; default: all that have samples")


def run(args: argparse.Namespace) -> int:
    from sna_eval.argument_lists import parse_names
    from sna_eval.reporting.view import write_view

    written = write_view(args.run_folder, args.output, tasks=parse_names(args.tasks) or ())
    size = written.path.stat().st_size / 1e6
    print(f"{written.path}: {written.items} items of {written.tasks} tasks, {size:.1f} MB")
    return 0
