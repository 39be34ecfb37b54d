"""Writes a run as logs of inspect_ai, one for each task and filter, for `inspect view` to show: the
gated model's answers with the unmodified model's beside them. Needs `sna-eval[inspect]`.
"""

from __future__ import annotations

import argparse

HELP = "write a run as logs that inspect_ai's viewer shows"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("run_folder", metavar="RUN", help="what lm_eval wrote with --output_path and --log_samples")
    add("--output", metavar="FOLDER", required=True, help="folder for the logs")
    add("--tasks", help="names or globs, comma-separated; default: all that have samples")


def run(args: argparse.Namespace) -> int:
    from sna_eval.argument_lists import parse_names
    from sna_eval.reporting.inspect_log import write_logs

    written = write_logs(args.run_folder, args.output, tasks=parse_names(args.tasks) or ())
    for path in written:
        print(path)
    print(f"inspect view --log-dir {args.output}")
    return 0
