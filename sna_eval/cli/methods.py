"""Sets methods beside one another: same tasks, gate, scoring and items, one table."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sna_eval.cli.common import add_model, add_tasks, say_draws, task_arguments
from sna_eval.cli.terminal import resumable
from sna_eval.errors import writing
from sna_eval.files import REFERENCE_PLAN

if TYPE_CHECKING:
    from sna_eval.study.methods import MethodTable, Variant

HELP = "compare controls and rival methods with a plan's own intervention"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add_tasks(parser, required=True)
    add("--methods", default="all", help="names, comma-separated; default: all")
    add("--plan", help=f"plan whose gates and layers all methods share; default: {REFERENCE_PLAN}")
    add_model(parser)
    add("--output", required=True, help="folder of the table; a run that was stopped goes on there")
    add("--limit", type=int, help="test items per task at most")
    add("--random_draws", type=int, default=99, help="searches with random rankings")
    add("--tried", type=int, default=4, help="configurations that every method tries")
    add("--strengths", help="what methods with a strength choose from")
    add("--draws", type=int, default=2_000, help="bootstrap samples and permutations")
    add("--seed", type=int, default=0, help="of all that is drawn at random")


def run(args: argparse.Namespace) -> int:
    from sna_eval.argument_lists import parse_names, parse_numbers
    from sna_eval.harness.loading import load_lm, load_tasks
    from sna_eval.harness.scoring.ledger import GENERATED
    from sna_eval.harness.tasks.questions import output_type
    from sna_eval.study.methods import MethodsOptions, measure_methods, parse_variants
    from sna_eval.study.methods.formatting import format_summary, format_table
    from sna_eval.study.methods.options import STRENGTHS

    options = MethodsOptions(
        limit=args.limit,
        random_draws=args.random_draws,
        tried=args.tried,
        strengths=parse_numbers("strengths", args.strengths) or STRENGTHS,
        draws=args.draws,
        seed=args.seed,
    )
    variants = parse_variants(parse_names(args.methods), seed=options.seed)
    tasks = load_tasks(
        parse_names(args.tasks), include_path=args.include_path,
        model_args=args.model_args, arguments=task_arguments(args),
    )  # fmt: skip
    say_draws(options.random_draws, len(tasks))
    lm = load_lm(
        args.model_args, plan=args.plan, otherwise=REFERENCE_PLAN, batch_size=options.batch_size
    )
    with resumable(f"what is done is in {args.output}, and the same command goes on there"):
        table = measure_methods(
            lm, tasks, variants, options, output=args.output, model_args=args.model_args
        )
    texts = [name for name, task in tasks.items() if output_type(task) == GENERATED]
    _say_missing(table, variants, texts)
    path = table.save(args.output)
    summary = path.parent / "methods.md"
    with writing(summary):
        summary.write_text(format_summary(table) + "\n", encoding="utf-8")
    print(format_table(table))
    print(f"{path}: {len(table.rows)} rows, plan {table.settings['plan_fingerprint']}")
    return 0


def _say_missing(table: MethodTable, variants: Sequence[Variant], texts: Sequence[str]) -> None:
    """Says on standard error which rows there are not.

    **Arguments:**

    - `texts`: tasks that generate text.
    """
    learned = [variant.label for variant in variants if variant.needs_answers]
    if learned and texts:
        verb = "has" if len(learned) == 1 else "have"
        _note(f"{', '.join(learned)} {verb} no row of {', '.join(texts)}: a generated text has no "
              "right answer to learn from or to show")  # fmt: skip
    for variant in variants:
        unasked = texts if variant.needs_answers else ()
        if tasks := [task for task in table.without(variant.label) if task not in unasked]:
            _note(f"{variant.label} has no row of {', '.join(tasks)}: "
                  "the plan leaves no layer alone that has such units")  # fmt: skip


def _note(text: str) -> None:
    print(f"sna-eval: note: {text}", file=sys.stderr)
