"""The paper's protocol on one model: sweep, selection, SST-2 grid, interference, report, verdicts.

The steps are commands that can be typed by themselves; this module knows their order, and reads
what they wrote. It runs none of them: who calls hands over what does.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from sna_eval.paper.claims import HEADINGS, as_markdown, as_rows, claims
from sna_eval.paper.evidence import Labelled, ProtocolEvidence
from sna_eval.paper.rules import Claim, Verdict
from sna_eval.reporting.page import Section
from sna_eval.reporting.report import ReportOptions, write_report
from sna_eval.reporting.tables import Table
from sna_eval.study.interference import Interference
from sna_eval.study.summary import gated_gains, read_measurements, summarise
from sna_eval.study.sweep import SweepStore

Grid = Literal["full", "small"]
_SWEEP: dict[Grid, list[str]] = {
    "full": [],
    "small": ["--top_k", "5,15", "--multipliers", "1.2,1.6,2.0"],
}
_SST2: dict[Grid, list[str]] = {
    "full": [],
    "small": ["--top_k", "5,10", "--multipliers", "2,8", "--layers", "3,7"],
}
_INTERFERENCE: dict[Grid, list[str]] = {
    "full": [],
    "small": ["--random_draws", "4", "--draws", "200"],
}
_DRAWS: dict[Grid, int] = {"full": 10_000, "small": 1_000}


@dataclass(frozen=True)
class ProtocolConfig:
    """What is run, and where."""

    model: str
    """Path or hub name."""
    output: Path
    """Folder of everything that is written."""
    grid: Grid = "full"
    """`small` is for a look; verdicts are meant for `full`."""
    tasks: str = "sna_generation"
    """Of the sweep, with commas."""
    limit: int | None = None
    """Items a task at most; `None`: all."""
    with_sst2: bool = True
    """Whether SST-2 is at hand."""

    def typed(self) -> str:
        """The command without its folder."""
        words = ["--model", self.model, "--grid", self.grid, "--tasks", self.tasks]
        words += ["--limit", str(self.limit)] if self.limit else []
        return shlex.join(["sna-eval", "reproduce", *words])

    def steps(self) -> list[list[str]]:
        """The commands, in order, each without `sna-eval`."""
        model = ["--model_args", f"pretrained={self.model}"]
        limit = ["--limit", str(self.limit)] if self.limit else []
        grid, plan = _SWEEP[self.grid], str(self.output / "plan.yaml")
        sst2 = [
            "sweep", *model, "--tasks", "sna_sst2", "--split", "test", "--directions",
            "both,predicted,gold", "--allow_oracle", "--output", str(self.output / "sst2"),
            *_SST2[self.grid], *limit,
        ]  # fmt: skip
        return [
            ["sweep", *model, "--tasks", self.tasks, "--output", str(self.output / "sweep"), *grid,
             *limit],
            ["sweep", *model, "--tasks", "sna_transition", "--output",
             str(self.output / "transition"), *grid, *limit],
            *([sst2] if self.with_sst2 else []),
            ["select", str(self.output / "sweep"), "--output", plan],
            ["interference", *model, "--plan", plan, "--output", str(self.output / "interference"),
             *_INTERFERENCE[self.grid], *limit],
            ["run", "--model_args", f"pretrained={self.model},plan={plan}", "--tasks", self.tasks,
             "--batch_size", "16", "--log_samples", "--output_path", str(self.output / "results"),
             *limit],
        ]  # fmt: skip


def reproduce(config: ProtocolConfig, command: Callable[[Sequence[str]], int]) -> int:
    """Runs the steps, writes the page and the verdicts; a step's status where one fails.

    Sweeps that were stopped go on where they were.

    **Arguments:**

    - `command`: runs a step and gives its exit status.
    """
    shutil.rmtree(config.output / "results", ignore_errors=True)
    for step in config.steps():
        print("$ " + shlex.join(["sna-eval", *step]), flush=True)
        status = command(step)
        if status:
            return status
    found = claims(_evidence(config))
    _write(config, found)
    print(as_markdown(found))
    return 0


def _evidence(config: ProtocolConfig) -> ProtocolEvidence:
    store = SweepStore.load(config.output / "sweep")
    (transition,) = read_measurements(SweepStore.load(config.output / "transition"))
    sst2 = SweepStore.load(config.output / "sst2") if config.with_sst2 else None
    return ProtocolEvidence(
        model=store.manifest["model"],
        n_layers=store.manifest["n_layers"],
        summary=summarise(store, draws=_DRAWS[config.grid]),
        measured=Interference.load(config.output / "interference"),
        transition=transition,
        sst2=Labelled(sst2.configurations(), sst2.neurons()) if sst2 else None,
    )


def _write(config: ProtocolConfig, found: Sequence[Claim]) -> None:
    """The page and the verdicts alone."""
    (config.output / "claims.md").write_text(as_markdown(found), encoding="utf-8")
    draws = _DRAWS[config.grid]
    further = ReportOptions(
        measured=Interference.load(config.output / "interference"),
        gated=gated_gains(config.output / "results", draws=draws),
        labelled=(SweepStore.load(config.output / "sst2"),) if config.with_sst2 else (),
        sections=(_section(found),),
    )
    store = SweepStore.load(config.output / "sweep")
    page = config.output / "report" / "index.html"
    write_report(store, page, further=further, command=config.typed(), draws=draws)
    print(f"{page}: {page.stat().st_size / 1e6:.1f} MB", flush=True)


def _section(found: Sequence[Claim]) -> Section:
    verdicts = [own.verdict for own in found]
    counts = [f"{verdicts.count(verdict)} {verdict}" for verdict in get_args(Verdict)]
    return Section(
        "Published and measured",
        (
            "Figures of Akhtar (2026), arXiv:2604.07098v2, beside those measured here: "
            + ", ".join(counts)
            + ". A figure is confirmed where the measured one has its sign and at least half its "
            "size; all rules stand in sna_eval/paper/rules.py and were fixed beforehand.",
            Table(HEADINGS, as_rows(found)),
        ),
        words=True,
    )
