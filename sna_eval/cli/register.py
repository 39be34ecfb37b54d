"""Writes down what a verdict will test, before any test item is scored, with its own hash."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from sna_eval.cli.common import add_model, add_tasks, task_arguments

if TYPE_CHECKING:
    from sna_eval.study.verdict import RegisterOptions, Registration

HELP = "write down what a verdict will test, before test items are scored"


def add_arguments(
    parser: argparse.ArgumentParser, *, output: str = "the registration, a YAML file"
) -> None:
    add = parser.add_argument
    add_model(parser)
    add_tasks(parser, default="sna_generation")
    add("--output", required=True, help=output)
    add("--select", help="a ranking, such as differential; `random` makes the claim a placebo")
    add("--layers", help="such as 0-7 or 2,5,8-10; default: every layer, for labels five of them")
    add("--neurons", help="counts of neurons; default: the paper's seven")
    add("--multipliers", help="default: the paper's twelve from 1.1 to 2.4, for labels 2,4,8,12")
    add("--gate", default="always", help="always (default), or a signal whose zone 1 is amplified")
    add("--draws", type=int, help="random rankings; default: what the tasks need, 99 at least")
    add("--measured", type=int, default=4, help="configurations that each ranking measures")
    add("--limit", type=int, help="test items per task at most, spread over the split")
    add("--development_limit", type=int, help="development items per task at most")
    add("--smallest", type=float, default=0.1, help="smallest effect of interest, in log-odds")
    add("--alpha", type=float, default=0.05, help="chance of a false `shown`")
    add("--seed", type=int, default=0, help="of random rankings; of a placebo, which one it is")


def run(args: argparse.Namespace) -> int:
    from pathlib import Path

    from sna_eval.harness.loading import load_lm
    from sna_eval.study.verdict import register

    asked = options(args)
    found = register(load_lm(args.model_args, gate="never"), asked)
    path = Path(args.output)
    found.save(path)
    _print(found)
    print(f"{path}: registration {found.hash}, {_tasks(found)}")
    return 0


def options(args: argparse.Namespace) -> RegisterOptions:
    """What the flags say."""
    from sna_eval.argument_lists import parse_counts, parse_layers, parse_names, parse_numbers
    from sna_eval.study.verdict import RegisterOptions
    from sna_eval.study.verdict.registration import Limits, RegisteredSearch

    search = RegisteredSearch(
        select=args.select,
        claim_seed=args.seed,
        layers=parse_layers(args.layers),
        n_neurons=parse_counts(args.neurons),
        multipliers=parse_numbers("multipliers", args.multipliers),
        measured=args.measured,
        limit=args.limit,
        development_limit=args.development_limit,
        seed=args.seed,
    )
    return RegisterOptions(
        tasks=parse_names(args.tasks) or (),
        model_args=args.model_args,
        include_path=args.include_path,
        arguments=task_arguments(args),
        search=search,
        draws=args.draws,
        limits=Limits(alpha=args.alpha, smallest=args.smallest),
        gate=args.gate,
    )


def _print(found: Registration) -> None:
    from sna_eval.study.statistics import draws_needed

    alpha = found.limits.alpha
    for name, task in found.tasks.items():
        power, least = task.power, task.power.detectable
        print(
            f"{name}: {task.test.items} test items with {task.test.answers} answers; power "
            f"{power.at_smallest:.2f} for +{found.limits.smallest:g} log-odds, 0.80 for "
            + ("none" if least is None else f"+{least:.3g}")
        )
    if found.correction == "holm":
        print(
            f"{found.search.draws} random rankings: the fewest that can show something over "
            f"{_tasks(found)} after Holm are {draws_needed(len(found.tasks), alpha=alpha)}"
        )
    else:
        print(
            f"{found.search.draws} draws allow no p-value of {alpha:g} over {_tasks(found)} after "
            f"Holm: each task is judged by itself"
        )


def _tasks(found: Registration) -> str:
    return f"{len(found.tasks)} task" + ("s" if len(found.tasks) > 1 else "")
