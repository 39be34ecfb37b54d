"""Measures the verdict's own error rates on this model: circuits planted, and nothing planted."""

from __future__ import annotations

import argparse

from sna_eval.cli import register as registering
from sna_eval.cli.terminal import resumable

HELP = "power and false-positive rate of a verdict, with circuits planted and with none"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    registering.add_arguments(parser, output="folder of what is done; selfcheck.json is there")
    parser.add_argument("--repetitions", type=int, default=20, help="of each kind, for each task")


def run(args: argparse.Namespace) -> int:
    from dataclasses import asdict
    from pathlib import Path

    from sna_eval.errors import InputError, writing
    from sna_eval.files import write_whole_json
    from sna_eval.harness.loading import load_lm
    from sna_eval.study.verdict.power import WANTED
    from sna_eval.study.verdict.selfcheck import self_check

    if args.repetitions < 1:
        raise InputError("repetitions", expected="at least 1", got=args.repetitions)
    output = Path(args.output)
    with resumable(f"what is done is in {output}, and the same command goes on there"):
        found = self_check(
            load_lm(args.model_args, gate="never"), registering.options(args),
            repetitions=args.repetitions, output=output,
        )  # fmt: skip
    for rate in found.rates():
        low, high = rate.interval
        print(
            f"{rate.task} {rate.kind}: H1 shown in {rate.shown} of {rate.trials} "
            f"({rate.share:.0%}, 95 % between {low:.0%} and {high:.0%})"
        )
    for trial in found.planted():
        print(
            f"{trial.task}: the circuit in layer {trial.planted_layer} is worth "
            f"{trial.effect:+.3f} log-odds, and is predicted to be shown in {trial.chance:.0%} "
            f"({WANTED:.0%} are asked)"
        )
    path = output / "selfcheck.json"
    with writing(path):
        write_whole_json(path, {"trials": [asdict(trial) for trial in found.trials]})
    print(f"{path}: {len(found.trials)} trials")
    return 0
