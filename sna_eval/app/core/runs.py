"""Folders of earlier runs, by what is in them: a sweep, interference, or lm_eval's results."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sna_eval.app.core.saving import PLAN_FILE, Saved, lm_eval_command
from sna_eval.errors import InputError, reading
from sna_eval.files import expanded, is_folder
from sna_eval.harness.loading import model_arguments, pretrained_name, typed_arguments
from sna_eval.harness.plugin.running import Prompting
from sna_eval.plan import Plan, PlanArguments, parse_plan
from sna_eval.plan.files import plan_text
from sna_eval.reporting.view import write_view
from sna_eval.study.choosing import select
from sna_eval.study.interference import Interference
from sna_eval.study.results.formats.lm_eval import is_oracle
from sna_eval.study.results.locating import result_file, sample_files
from sna_eval.study.results.nested import mapping
from sna_eval.study.results.reading import read_raw
from sna_eval.study.results.records import filtered
from sna_eval.study.results.samples import Sample, read_samples
from sna_eval.study.results.zone_table import ZoneRow, zone_rows
from sna_eval.study.summary import Summary, summarise
from sna_eval.study.sweep import ASKED, SweepStore, asked_arguments
from sna_eval.typed import Json

_SEEDED = {"random": 0, "numpy": 1234, "torch": 1234, "fewshot": 1234}
"""What lm_eval's `--seed` seeds, in its order, and with what unless it is told otherwise."""
VIEW_FILE = "view.html"
_TASKS_FOLDER = '"$(sna-eval tasks-path)"'


@dataclass(frozen=True, eq=False)
class SweepFolder:
    """A finished sweep."""

    store: SweepStore
    summary: Summary


@dataclass(frozen=True)
class InterferenceFolder:
    """What amplifying one task did to the others."""

    measured: Interference


@dataclass(frozen=True)
class ItemPoint:
    """One item of a run, a document under one filter, before and after."""

    task: str
    """With the filter that its answers went through, if one did."""
    item: int
    zone: int
    amplified: bool
    before: float
    after: float


@dataclass(frozen=True, eq=False)
class ResultFolder:
    """A run of `lm_eval --model sna --log_samples`."""

    rows: tuple[ZoneRow, ...]
    """Means by task and zone."""
    items: tuple[ItemPoint, ...]
    """Items of the tasks whose answers have probabilities."""
    config: Json
    """What lm_eval wrote down about the run."""
    shots: Mapping[str, int] = field(default_factory=dict)
    """Few-shot examples by task."""
    prompting: Prompting = field(default_factory=Prompting)
    """What was put around the prompts."""
    folder: Path = Path()
    """Where results and samples lie."""

    @property
    def oracles(self) -> tuple[str, ...]:
        """Tasks whose direction followed the right answer."""
        return tuple(dict.fromkeys(row.task for row in self.rows if row.oracle))


Opened = SweepFolder | InterferenceFolder | ResultFolder


def open_folder(typed: str, *, draws: int = 10_000) -> Opened:
    """Opens a folder.

    **Arguments:**

    - `draws`: bootstrap samples and random deals, as many as the report takes.

    **Raises:** `InputError` where there is nothing of these kinds in it.
    """
    path = expanded(typed.strip())
    if not typed.strip() or not is_folder(path):
        raise InputError(
            "folder",
            expected="the folder of a sweep, of interference or of lm_eval's results",
            got=typed,
            hint="check the path",
        )
    if (path / "manifest.json").is_file():
        store = SweepStore.load(path)
        return SweepFolder(store, summarise(store, draws=draws))
    if (path / "interference.json").is_file():
        return InterferenceFolder(Interference.load(path))
    return _results(path)


def saved_choice(opened: SweepFolder) -> Saved:
    """The plan of each task's best configuration, and the command that tests it.

    **Raises:** `InputError` for a sweep of test items, which nothing may be chosen on.
    """
    manifest = opened.store.manifest
    folder = manifest.get(ASKED, {}).get("include_path")
    return _saved(
        select(opened.store).plan,
        asked_arguments(manifest),
        include_path=_TASKS_FOLDER if folder is None else shlex.quote(folder),
    )


def saved_run(opened: ResultFolder) -> Saved:
    """The plan that a run was made with, and the command that runs it again.

    **Raises:** `InputError` for a run without a plan.
    """
    tasks = mapping(opened.config, "sna", "tasks")
    if not tasks:
        raise InputError("plan", expected="a run of `--model sna` with a plan", got="none")
    with reading("results", expected="a plan and arguments as lm_eval wrote them", got=list(tasks)):
        raw = {
            name: {"gate": task["gate"], "interventions": task["interventions"]}
            for name, task in tasks.items()
        }
        given = model_arguments(opened.config.get("model_args"))
        planned = (*PlanArguments.names(), "auto_budget")
        model_args = {"pretrained": pretrained_name(given)} | {
            name: value for name, value in given.items() if name not in planned
        }
        return _saved(parse_plan({"version": 1, "tasks": raw}), model_args, _asked(opened))


def _saved(
    plan: Plan,
    model_args: Json,
    options: Sequence[str] = (),
    *,
    include_path: str = _TASKS_FOLDER,
) -> Saved:
    command = lm_eval_command(
        model_args, list(plan.tasks), include_path=include_path, options=options
    )
    return Saved({PLAN_FILE: plan_text(plan)}, command)


def _asked(opened: ResultFolder) -> list[str]:
    """What else a run was asked: items at most, few-shot examples where tasks agree, prompting."""
    limit, shots, around = opened.config.get("limit"), set(opened.shots.values()), opened.prompting
    words = [] if limit is None else ["--limit", f"{limit:g}"]
    if len(shots) == 1:  # 0 too: a task may have examples of its own
        words += ["--num_fewshot", str(*shots)]
    generating = opened.config.get("gen_kwargs")
    if generating:
        words += ["--gen_kwargs", typed_arguments(model_arguments(generating))]
    seeds = [opened.config.get(f"{name}_seed") for name in _SEEDED]
    known = all(f"{name}_seed" in opened.config for name in _SEEDED)
    if known and seeds != list(_SEEDED.values()):
        words += ["--seed", ",".join(map(str, seeds))]
    if around.system_instruction is not None:
        words += ["--system_instruction", around.system_instruction]
    if around.chat:
        turns = str(around.multiturn).lower()  # left out, it would be true
        words += ["--apply_chat_template", "--fewshot_as_multiturn", turns]
    return words


def _prompting(raw: Json) -> Prompting:
    """As lm_eval writes it beside the results."""
    system = raw.get("system_instruction")
    chat, multiturn = (bool(raw.get(name)) for name in ("chat_template", "fewshot_as_multiturn"))
    return Prompting(system if isinstance(system, str) else None, chat, multiturn)


def _results(path: Path) -> ResultFolder:
    rows = zone_rows(path)
    with reading("samples", expected="samples of an `sna` run", got=str(path)):
        items = tuple(
            _point(task, sample)
            for task, file in sample_files(path).items()
            for sample in read_samples(file)
            if {"prob", "baseline_prob", "zone", "decision"} <= sample.raw.keys()
            and sample.raw["zone"] is not None  # of a task that the plan leaves alone
        )
    raw = read_raw(result_file(path))
    config = mapping(raw, "config")
    marked = tuple(_marked(row, mapping(config, "sna", "tasks", row.task)) for row in rows)
    prompting = _prompting(mapping(raw))
    return ResultFolder(marked, items, config, mapping(raw, "n-shot"), prompting, path)


def page_to_read(opened: ResultFolder) -> bytes:
    """The page of `sna-eval view`, HTML: every item of a run, both answers beside each other."""
    with tempfile.TemporaryDirectory() as folder:
        return write_view(opened.folder, Path(folder) / VIEW_FILE).path.read_bytes()


def _point(task: str, sample: Sample) -> ItemPoint:
    before, after = sample.both("prob")
    return ItemPoint(
        filtered(task, sample.filter), int(sample.raw["doc_id"]), int(sample.raw["zone"]),
        sample.amplified, before, after,
    )  # fmt: skip


def _marked(row: ZoneRow, task: Json) -> ZoneRow:
    """Samples from before oracles were marked leave it to the plan's direction."""
    return replace(row, oracle=row.oracle or is_oracle(task))
