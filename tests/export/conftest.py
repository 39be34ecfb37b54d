"""Tiny models in folders, a plan for them, and lm_eval's own evaluator on what was exported."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from sna_eval.export import Format, Source, export_plan
from sna_eval.export.formats import FORMATS
from sna_eval.files import tasks_path
from sna_eval.gating import Gate
from sna_eval.intervention import find_sites
from sna_eval.plan import Plan, PlannedIntervention, TaskPlan, save_plan
from tests.conftest import build_model

TASK = "sna_math_easy"
PLAN = TaskPlan(
    Gate(mode="always"),
    (
        PlannedIntervention(1, 2.5, neurons={"": (40, 3, 17)}),
        PlannedIntervention(1, 1.7, neurons={"": (5, 40)}),  # shares a neuron with the one above
        PlannedIntervention(3, 3.0, neurons={"yes": (2, 9), "no": (30,)}),
        PlannedIntervention(2, 1.0, neurons={"": (8,)}),  # changes nothing
    ),
)
"""Two layers, several interventions on one of them, and a direction of two labels."""

SCALING_FORMATS = tuple(name for name, it in FORMATS.items() if it.holds == "scalings")
"""Formats that hold factors on neurons."""

ModelFolder = Callable[..., Path]
_ROOM = {"gpt2": "n_positions", "gptj": "n_positions"}
"""What architectures call their number of positions."""


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny matrices are slower on several threads than on one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory, word_tokenizer: Any) -> ModelFolder:
    """A tiny model with its tokenizer, saved; each once.

    Its vocabulary is the tokenizer's: lm_eval resizes others where an adapter is given.
    """
    saved: dict[tuple[Any, ...], Path] = {}
    words = len(word_tokenizer)

    def make(name: str, **changes: Any) -> Path:
        key = (name, *sorted(changes.items()))
        if key not in saved:
            saved[key] = tmp_path_factory.mktemp(name)
            values = {_ROOM.get(name, "max_position_embeddings"): 512, "vocab_size": words}
            build_model(name, **{**values, **changes}).save_pretrained(saved[key])
            word_tokenizer.save_pretrained(saved[key])
        return saved[key]

    return make


def source_of(folder: Path, plan: TaskPlan = PLAN, **changes: Any) -> Source:
    """A saved model and a plan, as the command line would load them."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = changes.pop("model", None)
    if model is None:
        model = AutoModelForCausalLM.from_pretrained(folder)
    if "tokenizer" not in changes:
        changes["tokenizer"] = AutoTokenizer.from_pretrained(folder)
    values = {
        "model": model,
        "sites": find_sites(model),
        "task": TASK,
        "plan": plan,
        "name": str(folder),
        **changes,
    }
    return Source(**values)


@pytest.fixture
def export(tmp_path: Path) -> Callable[..., Path]:
    """Exports a plan for a saved model; every call has a folder of its own."""

    def make(folder: Path, format: Format, plan: TaskPlan = PLAN, **changes: Any) -> Path:
        target = tmp_path / f"{format}{len(list(tmp_path.iterdir()))}"
        return export_plan(source_of(folder, plan, **changes), target, format=format)

    return make


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    """`PLAN` as a file."""
    path = tmp_path / "plan.yaml"
    save_plan(Plan({TASK: PLAN}), path)
    return path


@pytest.fixture(scope="session")
def task_manager() -> Any:
    from lm_eval.tasks import TaskManager

    return TaskManager(include_path=[tasks_path()], include_defaults=False)


@pytest.fixture(scope="session")
def scores(task_manager: Any, word_tokenizer: Any) -> Callable[..., list[float]]:
    """Log-likelihoods of eight items, through `lm_eval --model ... --model_args ...`.

    Those of `sna` carry their evidence.
    """
    from lm_eval import simple_evaluate

    from sna_eval.harness.plugin.registration import register

    register()
    words = word_tokenizer.name_or_path  # a model's own folder may load as another class

    def run(model: str, **model_args: Any) -> list[float]:
        results = simple_evaluate(
            model=model,
            model_args={"dtype": "float32", "tokenizer": words, **model_args},
            tasks=[TASK],
            task_manager=task_manager,
            device="cpu",
            batch_size=8,
            limit=8,
            bootstrap_iters=0,
        )
        samples = sorted(results["samples"][TASK], key=lambda sample: sample["doc_id"])
        return [sample["resps"][0][0][0] for sample in samples]

    return run
