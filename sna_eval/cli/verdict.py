"""Searches, searches again with random rankings, and says what of a registration is shown."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from sna_eval.cli.common import add_executor, cluster_arguments
from sna_eval.cli.terminal import resumable

if TYPE_CHECKING:
    from sna_eval.study.verdict import Executor, Verdict

HELP = "search, repeat the search with random rankings, and judge a registration"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("registration", help="what `sna-eval register` wrote")
    add(
        "--output", required=True,
        help="folder of verdict.json and index.html; a run that was stopped goes on there",
    )  # fmt: skip
    add("--beside", nargs="+", default=[], metavar="DIR",
        help="folders of other models' verdicts, to stand in the forest plot")  # fmt: skip
    add_executor(parser)


def run(args: argparse.Namespace) -> int:
    from pathlib import Path

    from sna_eval.harness.loading import load_lm
    from sna_eval.reporting.verdict import write_verdict
    from sna_eval.study.verdict import load_registration, reach_verdict
    from sna_eval.study.verdict.beside import read_beside
    from sna_eval.study.verdict.opened import openings

    path, output = Path(args.registration), Path(args.output)
    registration, beside = load_registration(path), read_beside(args.beside)
    before = openings(registration, path)
    for opening in before:
        print(f"test items were opened on {opening.when}, registration {opening.registration}")
    executor = _executor(args)
    lm = load_lm(registration.model.arguments, gate="never")
    with resumable(f"what is done is in {output}, and the same command goes on there"):
        found = reach_verdict(lm, registration, path, output, executor=executor)
    _print(found)
    saved = found.save(output)
    opened = openings(registration, path)
    page = write_verdict(found, output / "index.html", opened=opened, beside=beside)
    print(f"{saved}: registration {registration.hash}; {page}")
    return 0


def _executor(args: argparse.Namespace) -> Executor:
    from sna_eval.study.verdict import RayDraws, local_executor

    cluster = cluster_arguments(args)
    return local_executor if cluster is None else RayDraws(*cluster)


def _print(found: Verdict) -> None:
    """A line a task, and one over all of them."""
    for name, task in found.tasks.items():
        words = (f"{hypothesis} {judged.verdict}" for hypothesis, judged in task.judged.items())
        first = task.judged["H1"]
        print(f"{name}: {first.estimate:+.4f} log-odds, p {first.p:.3g}: {', '.join(words)}")
    if len(found.tasks) > 1:
        over = found.together
        print(
            f"over {len(found.tasks)} tasks: {over.estimate:+.4f} log-odds over random rankings, "
            f"p {over.p:.3g} of {over.draws} draws"
        )
