"""The paper's protocol on one model: sweep, selection, SST-2 grid, interference, report, verdicts.

    python scripts/reproduce_paper.py --model sna-reference --grid small --output out/paper

Writes the stores, the plan that was chosen on development items, what lm_eval made of it on test
items, and one page, `report/index.html`: the paper's published figures beside the measured ones,
each confirmed, not confirmed or not tested by the rules in `scripts/paper/rules.py`, and everything
they rest on. `claims.md` holds the verdicts alone. A run that was stopped goes on where it was. The
`small` grid is for a look and for continuous integration; verdicts are meant for `full`.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from paper.claims import HEADINGS, as_markdown, as_rows, claims
from paper.evidence import Evidence, Labelled
from paper.rules import Claim
from sna_eval.cli import main as sna_eval
from sna_eval.errors import InputError
from sna_eval.harness.datasets import load_sst2
from sna_eval.reporting.page import Section
from sna_eval.reporting.report import Further, write_report
from sna_eval.reporting.tables import Table
from sna_eval.study.interference import Interference
from sna_eval.study.summary import gated_gains, read_measurements, summarise
from sna_eval.study.sweep import SweepStore

GRIDS: dict[str, list[str]] = {
    "full": [],
    "small": ["--neurons", "5,15", "--multipliers", "1.2,1.6,2.0"],
}
SST2_GRIDS: dict[str, list[str]] = {
    "full": [],
    "small": ["--neurons", "5,10", "--multipliers", "2,8", "--layers", "3,7"],
}
INTERFERENCE: dict[str, list[str]] = {
    "full": [],
    "small": ["--random_draws", "4", "--draws", "200"],
}
DRAWS = {"full": 10_000, "small": 1_000}


@dataclass(frozen=True)
class Asked:
    """What was typed."""

    model: str
    output: Path
    grid: str
    tasks: str
    limit: int | None

    def steps(self, *, with_sst2: bool) -> list[list[str]]:
        """The commands, in order; each one can be typed by itself."""
        model = ["--model_args", f"pretrained={self.model}"]
        limit = ["--limit", str(self.limit)] if self.limit else []
        own, plan = GRIDS[self.grid], str(self.output / "plan.yaml")
        sst2 = [
            "sweep", *model, "--tasks", "sna_sst2", "--split", "test", "--directions",
            "both,predicted,gold", "--allow_oracle", "--output", str(self.output / "sst2"),
            *SST2_GRIDS[self.grid], *limit,
        ]  # fmt: skip
        return [
            ["sweep", *model, "--tasks", self.tasks, "--output", str(self.output / "sweep"), *own,
             *limit],
            ["sweep", *model, "--tasks", "sna_transition", "--output",
             str(self.output / "transition"), *own, *limit],
            *([sst2] if with_sst2 else []),
            ["select", str(self.output / "sweep"), "--output", plan],
            ["interference", *model, "--plan", plan, "--output", str(self.output / "interference"),
             *INTERFERENCE[self.grid], *limit],
            ["run", "--model_args", f"pretrained={self.model},plan={plan}", "--tasks", self.tasks,
             "--batch_size", "16", "--log_samples", "--output_path", str(self.output / "results"),
             *limit],
        ]  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    asked = _asked(argv)
    with_sst2 = _sst2_at_hand()
    shutil.rmtree(asked.output / "results", ignore_errors=True)
    for step in asked.steps(with_sst2=with_sst2):
        print("$ " + shlex.join(["sna-eval", *step]), flush=True)
        status = sna_eval(step)
        if status:
            return status
    found = claims(_evidence(asked, with_sst2=with_sst2))
    _write(asked, found, with_sst2=with_sst2)
    print(as_markdown(found))
    return 0


def _asked(argv: Sequence[str] | None) -> Asked:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="sna-reference", help="path or hub name")
    parser.add_argument("--output", default="out/paper", help="folder")
    parser.add_argument("--grid", default="full", choices=tuple(GRIDS))
    parser.add_argument("--tasks", default="sna_generation")
    parser.add_argument("--limit", type=int, help="items per task at most")
    args = parser.parse_args(argv)
    return Asked(args.model, Path(args.output), args.grid, args.tasks, args.limit)


def _evidence(asked: Asked, *, with_sst2: bool) -> Evidence:
    store = SweepStore.load(asked.output / "sweep")
    (transition,) = read_measurements(SweepStore.load(asked.output / "transition"))
    sst2 = SweepStore.load(asked.output / "sst2") if with_sst2 else None
    return Evidence(
        model=store.manifest["model"],
        n_layers=store.manifest["n_layers"],
        summary=summarise(store, draws=DRAWS[asked.grid]),
        measured=Interference.load(asked.output / "interference"),
        transition=transition,
        sst2=Labelled(sst2.configurations(), sst2.neurons()) if sst2 else None,
    )


def _write(asked: Asked, found: Sequence[Claim], *, with_sst2: bool) -> None:
    """The page and the verdicts alone."""
    (asked.output / "claims.md").write_text(as_markdown(found), encoding="utf-8")
    counts = {verdict: sum(own.verdict == verdict for own in found) for verdict in _VERDICTS}
    section = Section(
        "Published and measured",
        (
            "Figures of Akhtar (2026), arXiv:2604.07098, beside those measured here: "
            + ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
            + ". A figure is confirmed where the measured one has its sign and at least half its "
            "size; all rules stand in scripts/paper/rules.py and were fixed beforehand.",
            Table(HEADINGS, as_rows(found)),
        ),
        words=True,
    )
    further = Further(
        measured=Interference.load(asked.output / "interference"),
        gated=gated_gains(asked.output / "results", draws=DRAWS[asked.grid]),
        labelled=(SweepStore.load(asked.output / "sst2"),) if with_sst2 else (),
        sections=(section,),
    )
    typed = ["--model", asked.model, "--grid", asked.grid, "--tasks", asked.tasks]
    typed += ["--limit", str(asked.limit)] if asked.limit else []
    command = shlex.join(["python", "scripts/reproduce_paper.py", *typed])
    page = asked.output / "report" / "index.html"
    write_report(
        SweepStore.load(asked.output / "sweep"), page, further=further, command=command,
        draws=DRAWS[asked.grid],
    )  # fmt: skip
    print(f"{page}: {page.stat().st_size / 1e6:.1f} MB", flush=True)


_VERDICTS = ("confirmed", "not confirmed", "not tested")


def _sst2_at_hand() -> bool:
    try:
        load_sst2()
    except InputError as error:
        print(f"sna_sst2 is left out: {error}", flush=True)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
