"""Two real language models, brought where they are missing; every test here is marked `real`.

A test takes `real` to run on both, or `smollm2` or `gemma3` for one, and gets a loaded model by
`load`. A model is loaded once for all tests: what a test changes on it is its own plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from real_models import MODELS, bring
from sna_eval.files import tasks_path

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.real)


@pytest.fixture(scope="session")
def smollm2() -> Path:
    return bring("smollm2")


@pytest.fixture(scope="session")
def gemma3() -> Path:
    return bring("gemma3")


@pytest.fixture(scope="session", params=MODELS)
def real(request: pytest.FixtureRequest) -> Path:
    """The folder of each model."""
    return bring(request.param)


@pytest.fixture(scope="session")
def sst2(shared_data: Path) -> None:
    """Skips where SST-2 is not at hand; `sna_all` holds it."""
    if not (shared_data / "sst2" / "dev.tsv").is_file():
        pytest.skip("needs SST-2")


Load = Callable[..., Any]


@pytest.fixture(scope="session")
def load() -> Iterator[Load]:
    """An lm_eval model of a folder, weights and tokenizer loaded once.

    `load(folder, **arguments)` is `--model sna` with the arguments of a plan, `load(folder)`
    without any `--model hf`.
    """
    from lm_eval.models.huggingface import HFLM
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from sna_eval.harness.lm import SNALM

    kept: dict[Path, tuple[Any, Any]] = {}

    def make(folder: Path, **arguments: Any) -> Any:
        if folder not in kept:
            kept.clear()  # one model at a time: the larger has a gigabyte of weights
            model = AutoModelForCausalLM.from_pretrained(folder).eval()
            kept[folder] = (model, AutoTokenizer.from_pretrained(folder))
        model, tokenizer = kept[folder]
        kind = SNALM if arguments else HFLM
        return kind(pretrained=model, tokenizer=tokenizer, batch_size=8, **arguments)

    yield make
    kept.clear()


def evaluate(
    lm: Any, tasks: list[str], *, limit: int | None, include: Path | None = None
) -> dict[str, Any]:
    """What lm_eval's evaluator gives, samples and all."""
    from lm_eval.evaluator import evaluate as run
    from lm_eval.tasks import TaskManager

    paths = [tasks_path(), *([include] if include else [])]
    loaded = TaskManager(include_path=paths, include_defaults=False).load(tasks)
    return run(lm=lm, task_dict=loaded, limit=limit, bootstrap_iters=0)


def log_likelihoods(results: dict[str, Any], task: str) -> list[float]:
    """Of every request of a task, in order."""
    samples = sorted(results["samples"][task], key=lambda sample: sample["doc_id"])
    return [float(answer[0][0]) for sample in samples for answer in sample["resps"]]
