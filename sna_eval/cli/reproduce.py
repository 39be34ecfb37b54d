"""Runs the paper's protocol on a model, and sets its published figures beside the measured ones.

Writes the stores, the plan that was chosen on development items, what lm_eval made of it on test
items, and one page, `report/index.html`, with a verdict on each figure and everything it rests on;
`claims.md` and `claims.json` hold the verdicts alone, `configurations.csv` what every configuration
of the sweeps gave. A run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sna_eval.files import REFERENCE_MODEL

HELP = "run the paper's protocol on a model: published beside measured figures, with verdicts"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--model", default=REFERENCE_MODEL, help="path or hub name; default: the bundled model")
    add("--output", default="out/paper", help="folder to write to; default: out/paper")
    add("--grid", default="full", choices=("full", "small"), help="`small` is for a look alone")
    add("--tasks", default="sna_generation", help="of the sweep; default: sna_generation")
    add("--limit", type=int, help="items a task at most")
    add("--sst2_limit", type=int, help="sentences of SST-2 at most; default: as --limit")
    add("--placebos", type=int, default=1, help="runs with random rankings to set figures beside")
    add("--beside", nargs="+", default=[], metavar="DIR",
        help="folders of runs on other models, for columns of their own in claims.md")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    from sna_eval.cli import main
    from sna_eval.paper.protocol import ProtocolConfig, reproduce

    config = ProtocolConfig(
        args.model,
        Path(args.output),
        args.grid,
        args.tasks,
        args.limit,
        args.sst2_limit,
        with_sst2=_sst2_at_hand(),
        placebos=args.placebos,
        beside=tuple(map(Path, args.beside)),
    )
    return reproduce(config, main)


def _sst2_at_hand() -> bool:
    from sna_eval.errors import InputError
    from sna_eval.harness.datasets import load_sst2

    try:
        load_sst2()
    except InputError as error:
        print(f"sna_sst2 is left out: {error}", flush=True)
        return False
    return True
