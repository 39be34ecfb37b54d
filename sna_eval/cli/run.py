"""`lm_eval run` with the bundled tasks on the include path; all flags are lm_eval's own."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from sna_eval.paths import tasks_path

NAME = "run"
HELP = "lm_eval run, with the bundled tasks at hand"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """lm_eval parses the flags; here they only have to be let through."""
    parser.add_argument("flags", nargs=argparse.REMAINDER, help="flags of `lm_eval run`")


def run(args: argparse.Namespace) -> int:
    return forward(args.flags)


def forward(flags: Sequence[str]) -> int:
    """Hands the flags to lm_eval; `--model` defaults to `sna`."""
    from lm_eval._cli import HarnessCLI
    from lm_eval.utils import setup_logging

    from sna_eval.harness.registration import register

    register()
    setup_logging()
    flags = list(flags)
    if not {"--model", "-M"} & {flag.split("=")[0] for flag in flags}:
        flags += ["--model", "sna"]
    cli = HarnessCLI()
    previous = sys.argv
    sys.argv = ["lm_eval", "run", *flags]
    try:
        args = cli.parse_args()
        # lm_eval's flag takes one folder, its task manager any number
        args.include_path = [tasks_path(), *([args.include_path] if args.include_path else [])]
        cli.execute(args)
    finally:
        sys.argv = previous
    return 0
