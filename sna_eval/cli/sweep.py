"""Measures every configuration of a grid on development items, into a store that can be resumed."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from sna_eval.cli.common import (
    add_executor,
    add_model,
    add_old_name,
    add_tasks,
    cluster_arguments,
    task_arguments,
)

if TYPE_CHECKING:
    from sna_eval.gating import Gate
    from sna_eval.study.sweep import Executor, ScreenOptions, SweepOptions

HELP = "measure every layer, count and multiplier of a grid"


_ACROSS = ("across_layers", "share")
"""What a plan's `select` has and a sweep has not: its units are layers."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add_model(parser)
    add_tasks(parser, default="sna_generation")
    add("--output", help="folder of the store; a sweep that was stopped goes on there")
    add(
        "--unit",
        default="mlp",
        help="what is amplified: neurons (mlp), attention heads (head) or a dictionary's features",
    )
    add("--layers", help="such as 0-7 or 2,5,8-10; default: every layer, for labels five of them")
    add("--top_k", help="counts of neurons; default: the paper's 3,5,8,10,15,20,25, labels 5,10,15")
    add_old_name(parser, "neurons", now="top_k")  # elsewhere the word holds indices
    add("--multipliers", help="default: the paper's twelve from 1.1 to 2.4, for labels 2,4,8,12")
    add("--select", help="a ranking, such as differential or gradient; default: by the task")
    add("--pooling", default="mean", help="prompt tokens that neurons are ranked on: mean or last")
    add("--max_prompts", type=int, default=256, help="development prompts to rank on, at most")
    add("--sinks", default="drop", help="drop or keep position 0 of the prompts in the ranking")
    add("--prompts", metavar="FILE", help="pairs to rank on (.jsonl), not development prompts")
    add(
        "--drop_universal",
        action="store_true",
        help="leave out neurons that every prompt activates",
    )
    add("--directions", help="both, predicted, gold or a label's name, comma-separated")
    add("--allow_oracle", action="store_true", help="allow `gold`, which knows the right answer")
    add("--split", default="development", help="development or test items")
    add("--limit", type=int, help="items per task at most: the first ones")
    add("--spread", action="store_true", help="take --limit's items evenly from the whole split")
    add("--plan", help="plan whose gates give the zones' boundaries; default: the paper's")
    add("--gate", help="or a signal, such as max_prob, whose usual boundaries do")
    add("--seed", type=int, default=0, help="of --select random")
    add("--tokens_per_pass", type=int, help="smaller needs less memory")
    add(
        "--screen",
        choices=("gradient",),
        help="predict the grid by one backward pass, measure part",
    )
    add("--verify", type=float, help="share of a screened grid that is measured; default 0.05")
    add_executor(parser)
    for name in _ACROSS:
        add(f"--{name}", nargs="?", const=True, help=argparse.SUPPRESS)
    add("--dry_run", action="store_true", help="print what it would cost, and stop")


def run(args: argparse.Namespace) -> int:
    from sna_eval.cli.terminal import resumable
    from sna_eval.errors import InputError
    from sna_eval.study.sweep import CostModel, Sweep, run_sweep, screen_text

    for name in _ACROSS:
        if getattr(args, name) is not None:
            raise InputError(
                name, expected="no such flag: a sweep goes layer by layer", got=getattr(args, name),
                hint="a plan's `select` has it, and sna-eval methods compares (row `cna`)",
            )  # fmt: skip
    _check_plain(args.model_args)
    if not args.output and not args.dry_run:
        raise InputError("output", expected="a folder", got=None, hint="or add --dry_run")
    sweep = Sweep(_options(args))
    if args.dry_run:
        print(CostModel(sweep).estimate())
        return 0
    executor = _executor(args)
    with resumable(f"what is done is in {args.output}, and the same command goes on there"):
        store = run_sweep(sweep, args.output, executor=executor)
    table = store.configurations()
    print(f"{args.output}: {table.num_rows:,} configurations of {len(sweep.subjects)} tasks")
    if sweep.options.screen is not None:
        print(screen_text(store))
    return 0


def _check_plain(model_args: str) -> None:
    """Raises `InputError` where model arguments hold a plan, which a sweep had no use for."""
    from sna_eval.errors import InputError
    from sna_eval.harness.loading import model_arguments
    from sna_eval.plan import PlanArguments

    planned = (*PlanArguments.names(), "auto_budget")
    for name, value in model_arguments(model_args).items():
        if name in planned:
            raise InputError(
                f"model_args.{name}", expected="no plan: a sweep measures a grid", got=value,
                hint="--layers, --top_k and --multipliers give the grid, --plan or --gate zones",
            )  # fmt: skip


def _options(args: argparse.Namespace) -> SweepOptions:
    from sna_eval.argument_lists import (
        parse_counts,
        parse_layers,
        parse_names,
        parse_numbers,
    )
    from sna_eval.study.sweep import SweepOptions

    return SweepOptions(
        tasks=parse_names(args.tasks) or (),
        model_args=args.model_args,
        include_path=args.include_path,
        arguments=task_arguments(args),
        unit=args.unit,
        layers=parse_layers(args.layers),
        n_neurons=parse_counts(args.top_k),
        multipliers=parse_numbers("multipliers", args.multipliers),
        directions=parse_names(args.directions),
        allow_oracle=args.allow_oracle,
        select=args.select,
        pooling=args.pooling,
        max_prompts=args.max_prompts,
        sinks=args.sinks,
        prompts=args.prompts,
        drop_universal=args.drop_universal,
        split=args.split,
        limit=args.limit,
        spread=args.spread,
        plan=args.plan,
        gate=_gate(args),
        seed=args.seed,
        tokens_per_pass=args.tokens_per_pass,
        screen=_screen(args),
    )


def _gate(args: argparse.Namespace) -> Gate | None:
    from sna_eval.errors import InputError
    from sna_eval.gating import SIGNALS, Gate

    if args.gate is None:
        return None
    if args.plan is not None:
        raise InputError(
            "gate", expected="a signal, or --plan, not both", got=f"{args.gate} and {args.plan}"
        )
    return Gate.by(SIGNALS.find(args.gate, field="gate"))


def _screen(args: argparse.Namespace) -> ScreenOptions | None:
    from sna_eval.errors import InputError
    from sna_eval.study.sweep import ScreenOptions

    if args.screen is None:
        if args.verify is not None:
            raise InputError(
                "verify", expected="--screen gradient beside it", got=args.verify,
                hint="without it the whole grid is measured",
            )  # fmt: skip
        return None
    return ScreenOptions() if args.verify is None else ScreenOptions(verify=args.verify)


def _executor(args: argparse.Namespace) -> Executor:
    from sna_eval.study.sweep import RayExecutor, local_executor

    cluster = cluster_arguments(args)
    return local_executor if cluster is None else RayExecutor(*cluster)
