"""Compares runs of lm_eval, paired by document: A against each of the others, or the two halves of
one `sna` run. Refuses what is not comparable.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sna_eval.errors import InputError, writing

if TYPE_CHECKING:
    from sna_eval.study.compare import Bound, Comparison

HELP = "test two runs against each other, item by item"

_SUFFIXES = {".json": "json", ".csv": "csv", ".md": "markdown"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs", nargs="+", metavar="RUN",
        help="output folder or result file of lm_eval, today's or before 0.4; or one row of the "
        "Open LLM Leaderboard as JSON. One `sna` run alone is compared with its own baseline",
    )  # fmt: skip
    parser.add_argument("--tasks", help="names or globs, comma-separated; default: all in common")
    parser.add_argument("--metrics", help="names, comma-separated; default: all outcomes in common")
    parser.add_argument(
        "--format", choices=("table", "json", "csv", "markdown", "side-by-side"),
        help="default: by the suffix of --output, else table",
    )  # fmt: skip
    parser.add_argument("--output", type=Path, help="file to write to; default: print")
    parser.add_argument("--force", action="store_true", help="compare in spite of differences")
    parser.add_argument("--confidence", type=float, default=0.95, help="of intervals")
    parser.add_argument("--power", type=float, default=0.8, help="for the detectable effect")
    parser.add_argument(
        "--smallest", type=float, metavar="X",
        help="smallest effect of interest, in the metric's unit: is a larger one excluded?",
    )  # fmt: skip
    parser.add_argument("--draws", type=int, default=10_000, help="bootstrap and permutations")
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn at random")
    parser.add_argument(
        "--fail_below", "--fail-below", type=float, metavar="X",
        help="exit with status 1 where B improves by less than X (may be negative)",
    )  # fmt: skip
    parser.add_argument(
        "--fail_by", "--fail-by", choices=("estimate", "low", "high"), default="estimate",
        help="what --fail_below looks at: the difference, or an end of its interval (`high` fails "
        "only where a loss is certain, `low` also where one is possible)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    from sna_eval.study.compare import NotComparable

    kind = _format(args)
    try:
        comparisons = _comparisons(args)
    except NotComparable as refused:
        from sna_eval.study.compare import grouped

        print("not comparable:", *grouped(refused.differences), sep="\n  ", file=sys.stderr)
        raise
    text = _written(comparisons, kind)
    if args.output is None:
        print(text)
    else:
        _save(text, args.output)
        print(args.output)
    return _status(comparisons, args.fail_below, args.fail_by)


def _comparisons(args: argparse.Namespace) -> list[Comparison]:
    from sna_eval.argument_lists import parse_names
    from sna_eval.study.compare import Options, compare, read_run, split

    options = Options(
        tasks=parse_names(args.tasks) or (),
        metrics=parse_names(args.metrics) or (),
        confidence=args.confidence,
        power=args.power,
        smallest=args.smallest,
        draws=args.draws,
        seed=args.seed,
        force=args.force,
    )
    runs = [read_run(path) for path in args.runs]
    first, *others = split(runs[0]) if len(runs) == 1 else runs
    return [compare(first, other, options) for other in others]


def _written(comparisons: Sequence[Comparison], kind: str) -> str:
    from sna_eval.study import compare

    writers = {
        "table": compare.as_text,
        "json": compare.as_json,
        "csv": compare.as_csv,
        "markdown": compare.as_markdown,
        "side-by-side": compare.as_side_by_side,
    }
    return writers[kind](comparisons)


def _save(text: str, path: Path) -> None:
    with writing(path, field="--output"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")


def _format(args: argparse.Namespace) -> str:
    if args.format is not None:
        return str(args.format)
    if args.output is None:
        return "table"
    suffix = args.output.suffix
    if suffix not in _SUFFIXES:
        raise InputError(
            "--output", expected=f"a name that ends in {', '.join(_SUFFIXES)}",
            got=str(args.output),
            hint="or say --format",
        )  # fmt: skip
    return _SUFFIXES[suffix]


def _status(comparisons: Sequence[Comparison], limit: float | None, by: Bound) -> int:
    if limit is None:
        return 0
    status = 0
    for comparison in comparisons:
        for row in comparison.rows:
            value = row.improvement(by)
            if not value >= limit:  # NaN, where there is no interval, does not pass
                print(
                    f"below {limit:g}: {row.task} {row.metric}, {value:+.4g} ({by})",
                    file=sys.stderr,
                )
                status = 1
    return status
