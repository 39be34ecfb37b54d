"""The paper's protocol on one model: sweep, selection, SST-2 grid, interference, report, verdicts.

The steps are commands that can be typed by themselves; this module knows their order, and reads
what they wrote. It runs none of them: who calls hands over what does.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from sna_eval.files import REFERENCE_MODEL, write_whole
from sna_eval.paper.claims import HEADINGS, as_markdown, as_rows, claims
from sna_eval.paper.configurations import write_configurations
from sna_eval.paper.evidence import Labelled, ProtocolEvidence
from sna_eval.paper.rules import Claim, Verdict, beside_placebos
from sna_eval.paper.several import Reproduced, load_reproduced, side_by_side
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
_DIRECTIONS = ["--directions", "both,predicted,gold", "--allow_oracle"]
_SST2: dict[Grid, list[str]] = {
    "full": _DIRECTIONS,
    "small": [*_DIRECTIONS, "--top_k", "5,10", "--multipliers", "2,8"],
}
_SST2_RANDOM: dict[Grid, list[str]] = {
    "full": ["--top_k", "10,20,30", "--multipliers", "2,4,8,12"],
    "small": ["--top_k", "10,20", "--multipliers", "2,8"],
}
"""As many neurons as both labels of the other grid have together; random ones belong to none."""
_INTERFERENCE: dict[Grid, list[str]] = {
    "full": ["--random_draws", "19"],
    "small": ["--random_draws", "4", "--draws", "200"],
}
_BUILT = "sna_transition_here"
"""Task of items in zone 2 of a model other than the bundled one."""
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
    sst2_limit: int | None = None
    """Sentences of SST-2 at most; `None`: as `limit` says."""
    with_sst2: bool = True
    """Whether SST-2 is at hand."""
    with_transition: bool = True
    """Whether there are items in the model's zone 2."""
    placebos: int = 1
    """Runs of the same protocol with random rankings, beside whose figures the others stand."""
    beside: tuple[Path, ...] = ()
    """Folders of runs on other models, which get columns of their own."""

    def typed(self) -> str:
        """The command without its folder."""
        words = ["--model", self.model, "--grid", self.grid, "--tasks", self.tasks]
        words += self._limit
        words += ["--sst2_limit", str(self.sst2_limit)] if self.sst2_limit else []
        words += ["--placebos", str(self.placebos)]
        return shlex.join(["sna-eval", "reproduce", *words])

    def steps(self) -> list[list[str]]:
        """The commands, in order, each without `sna-eval`."""
        plan = str(self.output / "plan.yaml")
        return [
            *self._searched(self.output, []),
            ["interference", *self._model, "--plan", plan, "--output",
             str(self.output / "interference"), *_INTERFERENCE[self.grid], *self._limit],
            ["run", "--model_args", f"pretrained={self.model},plan={plan}", "--tasks", self.tasks,
             "--batch_size", "16", "--log_samples", "--output_path", str(self.output / "results"),
             *self._limit],
        ]  # fmt: skip

    @property
    def transition_task(self) -> Path | None:
        """Folder of a task of items in this model's zone 2; `None`: the bundled one is meant."""
        return None if self.model == REFERENCE_MODEL else self.output / "transition-task"

    def transition_step(self) -> list[str]:
        """The command that makes that task."""
        return [
            "transition", *self._model, "--name", _BUILT, "--output", str(self.transition_task)
        ]  # fmt: skip

    def placebo_folders(self) -> list[Path]:
        """Of the runs with random rankings, whose seeds are counted from 1."""
        return [self.output / f"placebo-{number}" for number in range(1, self.placebos + 1)]

    def placebo_steps(self) -> list[list[str]]:
        """The same with random rankings: what figures rest on, and no evaluation by lm_eval."""
        steps = []
        for seed, folder in enumerate(self.placebo_folders(), start=1):
            steps += [
                *self._searched(folder, ["--select", "random", "--seed", str(seed)]),
                ["interference", *self._model, "--plan", str(folder / "plan.yaml"), "--output",
                 str(folder / "interference"), "--random_draws", "0", *self._limit],
            ]  # fmt: skip
        return steps

    def sweeps(self) -> dict[str, Path]:
        """Folders of the tasks' sweeps: the claim's and its placebos'."""
        placebos = {path.name: path / "sweep" for path in self.placebo_folders()}
        return {"claim": self.output / "sweep", **placebos}

    @property
    def _transition(self) -> list[str]:
        if self.transition_task is None:
            return ["--tasks", "sna_transition"]
        return ["--tasks", _BUILT, "--include_path", str(self.transition_task)]

    @property
    def _model(self) -> list[str]:
        return ["--model_args", f"pretrained={self.model}"]

    @property
    def _limit(self) -> list[str]:
        return ["--limit", str(self.limit)] if self.limit else []

    def _searched(self, folder: Path, ranking: list[str]) -> list[list[str]]:
        """Sweeps and the choice of a plan."""
        sentences = ["--limit", str(self.sst2_limit)] if self.sst2_limit else self._limit
        grid = _SWEEP[self.grid]
        labels = _SST2_RANDOM[self.grid] if ranking else _SST2[self.grid]
        sst2 = [
            "sweep", *self._model, "--tasks", "sna_sst2", "--split", "test", *labels, *ranking,
            "--output", str(folder / "sst2"), *sentences,
        ]  # fmt: skip
        transition = [
            "sweep", *self._model, *self._transition, *ranking, "--output",
            str(folder / "transition"), *grid, *self._limit,
        ]  # fmt: skip
        return [
            ["sweep", *self._model, "--tasks", self.tasks, *ranking, "--output",
             str(folder / "sweep"), *grid, *self._limit],
            *([transition] if self.with_transition else []),
            *([sst2] if self.with_sst2 else []),
            ["select", str(folder / "sweep"), "--output", str(folder / "plan.yaml")],
        ]  # fmt: skip


def reproduce(config: ProtocolConfig, command: Callable[[Sequence[str]], int]) -> int:
    """Runs the steps, writes the page and the verdicts; a step's status where one fails.

    Sweeps that were stopped go on where they were. Zone 2 is left out where a model has too few
    items in it.

    **Arguments:**

    - `command`: runs a step and gives its exit status.
    """
    others = [load_reproduced(folder) for folder in config.beside]
    shutil.rmtree(config.output / "results", ignore_errors=True)
    config = replace(config, with_transition=_has_transition(config, command))
    for step in [*config.steps(), *config.placebo_steps()]:
        print("$ " + shlex.join(["sna-eval", *step]), flush=True)
        status = command(step)
        if status:
            return status
    placebos = [claims(_evidence(config, folder)) for folder in config.placebo_folders()]
    found = beside_placebos(claims(_evidence(config, config.output)), placebos)
    run = Reproduced(config.model, config.typed(), tuple(found))
    run.save(config.output)
    write_configurations(config.sweeps(), config.output)
    table = side_by_side([run, *others]) if others else as_markdown(found)
    write_whole(config.output / "claims.md", table.encode())
    _write(config, found)
    print(table)
    return 0


def _has_transition(config: ProtocolConfig, command: Callable[[Sequence[str]], int]) -> bool:
    """Whether there are items for zone 2; those of a model other than the bundled one are made."""
    folder = config.transition_task
    if folder is None or (folder / f"{_BUILT}.yaml").is_file():
        return True
    step = config.transition_step()
    print("$ " + shlex.join(["sna-eval", *step]), flush=True)
    made = command(step) == 0
    if not made:
        print("Zone 2 is left out: too few items lie in it.", flush=True)
    return made


def _evidence(config: ProtocolConfig, folder: Path) -> ProtocolEvidence:
    store = SweepStore.load(folder / "sweep")
    transition = None
    if config.with_transition:
        (transition,) = read_measurements(SweepStore.load(folder / "transition"))
    sst2 = SweepStore.load(folder / "sst2") if config.with_sst2 else None
    return ProtocolEvidence(
        model=store.manifest["model"],
        n_layers=store.manifest["n_layers"],
        summary=summarise(store, draws=_DRAWS[config.grid]),
        measured=Interference.load(folder / "interference"),
        transition=transition,
        sst2=Labelled(sst2.configurations(), sst2.neurons()) if sst2 else None,
    )


def _write(config: ProtocolConfig, found: Sequence[Claim]) -> None:
    """The page."""
    draws = _DRAWS[config.grid]
    further = ReportOptions(
        measured=Interference.load(config.output / "interference"),
        gated=gated_gains(config.output / "results", draws=draws),
        labelled=(SweepStore.load(config.output / "sst2"),) if config.with_sst2 else (),
        sections=(_section(found),),
        remarks=(f"Of the paper's published figures: {_counted(found)}.",),
    )
    store = SweepStore.load(config.output / "sweep")
    page = config.output / "report" / "index.html"
    write_report(store, page, further=further, command=config.typed(), draws=draws)
    print(f"{page}: {page.stat().st_size / 1e6:.1f} MB", flush=True)


def _counted(found: Sequence[Claim]) -> str:
    verdicts = [claim.verdict for claim in found]
    return ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in get_args(Verdict))


def _section(found: Sequence[Claim]) -> Section:
    return Section(
        "Published and measured",
        (
            "Figures of Akhtar (2026), arXiv:2604.07098v2, beside those measured here: "
            + _counted(found)
            + ". A figure is reproduced where the measured one has its sign and at least half its "
            "size and random rankings, put through the same protocol, do not; all rules stand in "
            "sna_eval/paper/rules.py and were fixed beforehand.",
            Table(HEADINGS, as_rows(found)),
        ),
        words=True,
    )
