"""`lm_eval --model sna` with a plan of every unit and ranking on every default architecture.

One run per architecture has a copy of a task for every cell. Scores are held against plain hooks on
the model that lies in the folder, and so is what a plan that was found becomes as a checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM

from sna_eval.export import Source, export_plan
from sna_eval.harness.values import evidence_of
from sna_eval.intervention import find_sites
from sna_eval.plan import Plan, TaskPlan, parse_plan, save_plan
from tests.conftest import CONFIGS, VOCABULARY, build_model
from tests.intervention.plain_units import amplified, log_probs
from tests.study.units.cells import CELLS, MULTIPLIER, plan_of, task_of

EXPORTED = ("mlp-cna", "mlp-contrastive", "head-gradient")
"""Several layers, two labels and heads; which units of a layer they are makes no difference."""


@dataclass(frozen=True)
class Evaluated:
    """An architecture in a folder, loaded plainly, and what lm_eval said of it."""

    folder: str
    model: Any
    tokenizer: Any
    plans: Mapping[str, TaskPlan]
    """By cell, with the units that were found."""
    samples: dict[str, Any]


Run = Callable[[str], Evaluated]


@pytest.fixture(scope="module")
def run(
    own_tasks: Path, pairs: Path, dictionary: str, word_tokenizer: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:  # fmt: skip
    """An architecture's run, once it is asked for."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    from sna_eval.harness.plugin.registration import register

    register()
    folder = tmp_path_factory.mktemp("evaluated")
    for cell in CELLS:
        (folder / f"{cell}.yaml").write_text(
            f"include: {own_tasks}/{task_of(cell)}.yaml\ntask: {cell}\n"
        )
    save_plan(Plan({cell: plan_of(cell, pairs) for cell in CELLS}), folder / "plan.yaml")
    manager = TaskManager(include_path=folder, include_defaults=False)

    @cache
    def evaluated(name: str) -> Evaluated:
        build_model(name, vocab_size=VOCABULARY).save_pretrained(folder / name)
        word_tokenizer.save_pretrained(folder / name)
        results = simple_evaluate(
            model="sna",
            model_args={
                "pretrained": str(folder / name), "dictionary": dictionary, "dtype": "float32",
                "plan": str(folder / "plan.yaml"),
                "tokenizer": word_tokenizer.name_or_path,
            },
            tasks=list(CELLS), task_manager=manager, device="cpu", batch_size=8, limit=3,
            bootstrap_iters=0,
        )  # fmt: skip
        said = results["config"]["sna"]["tasks"]
        tasks = {
            cell: {"gate": said[cell]["gate"], "interventions": said[cell]["interventions"]}
            for cell in CELLS
        }
        plans = parse_plan({"version": 1, "tasks": tasks}).tasks
        model = AutoModelForCausalLM.from_pretrained(folder / name).eval()
        return Evaluated(str(folder / name), model, word_tokenizer, plans, results["samples"])

    return evaluated


def asked(run: Evaluated, cell: str) -> tuple[list[tuple[str, str]], list[Any]]:
    """Contexts and continuations of a cell's requests, and the answers to them."""
    pairs, answers = [], []
    for sample in run.samples[cell]:
        pairs += [tuple(arguments) for arguments in sample["arguments"]]
        answers += [answer[0][0] for answer in sample["resps"]]
    assert len(pairs) == len(answers) == (6 if task_of(cell) == "own_labels" else 3)
    return pairs, answers


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", CONFIGS)
def test_scores_are_those_of_hooks(name: str, cell: str, run: Run) -> None:
    found = run(name)
    entries = found.plans[cell].interventions
    unit, ranking = cell.split("-")
    assert {(entry.unit, entry.multiplier) for entry in entries} == {(unit, MULTIPLIER)}
    named = {"absolute" if ranking == "cna" else ranking}
    assert {entry.found.method for entry in entries} == named
    pairs, answers = asked(found, cell)
    plain = log_probs(found, pairs)
    with amplified(found.model, entries):
        expected = log_probs(found, pairs)
    assert answers == pytest.approx(expected, abs=1e-5)
    assert [evidence_of(one).baseline for one in answers] == pytest.approx(plain, abs=1e-5)
    assert max(abs(a - b) for a, b in zip(expected, plain, strict=True)) > 1e-2


@pytest.mark.parametrize("cell", EXPORTED)
@pytest.mark.parametrize("name", CONFIGS)
def test_what_was_found_scores_alike_as_a_checkpoint(
    name: str, cell: str, run: Run, tmp_path: Path
) -> None:
    found = run(name)
    source = Source(
        found.model, found.tokenizer, find_sites(found.model), cell, found.plans[cell], found.folder
    )
    merged = export_plan(source, tmp_path / "merged", format="merged")
    served = replace(found, model=AutoModelForCausalLM.from_pretrained(merged).eval())
    pairs, answers = asked(found, cell)
    assert log_probs(served, pairs) == pytest.approx(list(answers), abs=1e-5)
