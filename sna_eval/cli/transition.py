"""Makes a task of items that lie in zone 2 for one's own model: neither unsure nor confident.

Writes NAME.yaml and its items into a folder; `lm_eval --include_path FOLDER --tasks NAME` runs it.
"""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

from sna_eval.cli.common import add_model, add_tasks, task_arguments

HELP = "make a task of items in zone 2 for a model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add_model(parser)
    add_tasks(parser, default="sna_ambiguous")
    add("--output", required=True, help="folder to write the task to")
    add("--name", help="of the task; default: sna_transition_ and the model's name")
    add("--signal", default="target_prob", help="confidence signal; default: target_prob")
    add("--low", type=float, help="zone 1 lies below it; default: the signal's")
    add("--high", type=float, help="zone 3 lies above it; default: the signal's")
    add("--development", type=int, default=50, help="development items at most; default: 50")
    add("--test", type=int, default=120, help="test items at most; default: 120")
    add("--seed", type=int, default=0, help="of the draw among the items in the zone")


def run(args: argparse.Namespace) -> int:
    from sna_eval.argument_lists import parse_names
    from sna_eval.gating import SIGNALS, Gate
    from sna_eval.harness.loading import load_lm, load_tasks, pretrained_name
    from sna_eval.study.transition import split_items, write_task, zone_two_items

    _check(args)
    signal = SIGNALS.find(args.signal, field="--signal")
    low, high = (
        bound if given is None else given
        for given, bound in ((args.low, signal.low), (args.high, signal.high))
    )
    gate = Gate(signal.name, low, high, mode="never")
    tasks = load_tasks(
        parse_names(args.tasks), include_path=args.include_path,
        model_args=args.model_args, arguments=task_arguments(args),
    )  # fmt: skip
    lm = load_lm(args.model_args, gate="never")
    model = pretrained_name(args.model_args)
    name = args.name or f"sna_transition_{_plain(model)}"
    found, scored = zone_two_items(lm, tasks, gate, quiet=False)
    splits = split_items(
        found, scored=scored, development=args.development, test=args.test, seed=args.seed
    )
    made = f"Zone 2 of {model} ({signal.name} from {low:g} to {high:g}), of {args.tasks}"
    path = write_task(Path(args.output), name, splits, made=f"{made}, seed {args.seed}.")
    print(
        f"{path}: {len(splits.development)} development and {len(splits.test)} test items; "
        f"{splits.inside} of {scored} lie in zone 2"
    )
    print(f"lm_eval --include_path {shlex.quote(args.output)} --tasks {name} ...")
    return 0


def _check(args: argparse.Namespace) -> None:
    from sna_eval.errors import InputError

    if args.name is not None and not re.fullmatch(r"\w[\w-]*", args.name):
        raise InputError(
            "--name", expected="letters, digits, - and _, for a task and its file", got=args.name
        )
    for flag in ("development", "test"):
        if getattr(args, flag) < 1:
            raise InputError(f"--{flag}", expected="1 or more", got=getattr(args, flag))


def _plain(model: str) -> str:
    """A model's name as a part of a task's."""
    return re.sub(r"[^a-z0-9]+", "_", Path(model).name.lower()).strip("_")
