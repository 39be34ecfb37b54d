"""A user's own tasks of several splits, and lm_eval's own task files fed from local ones."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lm_eval.tasks
import pytest

from sna_eval.files import tasks_path
from tests.study.conftest import (  # noqa: F401
    checkpoint,
    lm,
    load,
    own_tasks,
    store,
    sweep_of,
    task_manager,
)

_WORDS = ["rain", "fell", "over", "town", "while", "the", "cat", "sat", "on", "a", "mat"]
_COUNTS = {"train": 9, "validation": 8, "test": 7}
LM_EVAL = Path(lm_eval.tasks.__file__).parent

OWN = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{{files}}}}}
output_type: loglikelihood
{splits}
doc_to_text: "{{{{text}}}}"
doc_to_target: "{{{{answer}}}}"
process_results: !function sna_eval.harness.metrics.generation_results
metric_list:
  - {{metric: prob, aggregation: mean, higher_is_better: true}}
  - {{metric: baseline_prob, aggregation: mean, higher_is_better: true}}
"""
ROLLING = """
task: own_rolling
dataset_path: json
dataset_kwargs: {{data_files: {{validation: {validation}, test: {test}}}}}
output_type: loglikelihood_rolling
validation_split: validation
test_split: test
doc_to_text: ""
doc_to_target: "{{{{passage}}}}"
metric_list: [{{metric: word_perplexity}}]
"""
SPLITS = {"train": "training_split", "validation": "validation_split", "test": "test_split"}


def _text(number: int) -> str:
    return " ".join(_WORDS[(number * 7 + k * k) % 11] for k in range(2 + number % 5))


def _documents(split: str) -> list[dict[str, Any]]:
    """Documents with the fields of every data set that a test reads; no two splits share one."""
    first = 20 * list(_COUNTS).index(split)
    return [
        {
            "text": f"{split} {_text(number)}",
            "sentence": f"{split} {_text(number)} ",
            "question": f"{split} {_text(number)}?",
            "passage": f"{split} {_text(number)} {_text(number + 1)}",
            "answer": f"{_WORDS[number % 11]} #### {number}",
            "label": number % 2,
            "choices": {
                "text": [_WORDS[(number + k) % 11] for k in range(4)],
                "label": ["A", "B", "C", "D"],
            },
            "answerKey": "ABCD"[number % 4],
        }
        for number in range(first, first + _COUNTS[split])
    ]


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file for each split."""
    folder = tmp_path_factory.mktemp("data")
    for split in _COUNTS:
        lines = [json.dumps(row) for row in _documents(split)]
        (folder / f"{split}.jsonl").write_text("\n".join(lines))
    return {split: folder / f"{split}.jsonl" for split in _COUNTS}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, data: dict[str, Path]) -> Path:
    """Task files: the user's by splits, and some of lm_eval's with another `dataset_path`."""
    path = tmp_path_factory.mktemp("tasks")
    for name, splits in {
        "own_three": ("train", "validation", "test"),
        "own_validated": ("train", "validation"),
        "own_bare": ("test",),
    }.items():
        lines = "\n".join(f"{SPLITS[split]}: {split}" for split in splits)
        files = ", ".join(f"{split}: {data[split]}" for split in splits)
        (path / f"{name}.yaml").write_text(OWN.format(name=name, files=files, splits=lines))
    (path / "own_rolling.yaml").write_text(ROLLING.format(**data))
    same = f"validation: {data['test']}, test: {data['test']}"
    lines = "validation_split: validation\ntest_split: test"
    (path / "own_same.yaml").write_text(OWN.format(name="own_same", files=same, splits=lines))
    files = ", ".join(f"{split}: {file}" for split, file in data.items())
    for name, one in {
        "local_arc_easy": "arc/arc_easy.yaml",
        "local_sst2": "glue/sst2/default.yaml",
        "local_boolq": "super_glue/boolq/default.yaml",
        "local_gsm8k": "gsm8k/gsm8k.yaml",
        "local_winogrande": "winogrande/default.yaml",
    }.items():
        if name == "local_winogrande":
            files = ", ".join(f"{split}: {_written(path, split)}" for split in data)
        short = "generation_kwargs: {until: [Question], max_gen_toks: 8}\n"
        (path / f"{name}.yaml").write_text(
            f"include: {LM_EVAL / one}\ntask: {name}\ndataset_path: json\ndataset_name: null\n"
            f"dataset_kwargs: {{data_files: {{{files}}}}}\nnum_fewshot: 0\n"
            + (short if name == "local_gsm8k" else "")
        )
    return path


def _written(folder: Path, split: str) -> Path:
    file = folder / f"{split}-schemas.jsonl"
    file.write_text("\n".join(map(json.dumps, _schemas(split))))
    return file


def _schemas(split: str) -> list[dict[str, Any]]:
    """Sentences with a gap, as winogrande has them: the choices stand before the target."""
    return [
        {
            "sentence": f"{split} the _ {document['text']}",
            "option1": _WORDS[number % 11],
            "option2": _WORDS[(number + 4) % 11],
            "answer": "12"[number % 2],
        }
        for number, document in enumerate(_documents(split))
    ]


@pytest.fixture(scope="session")
def manager(folder: Path) -> Any:
    from lm_eval.tasks import TaskManager

    return TaskManager(include_path=[folder, tasks_path()], include_defaults=False)


Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(checkpoint: Path, manager: Any) -> Run:  # noqa: F811
    """`simple_evaluate` as lm_eval's command line calls it: results, written where asked."""
    from lm_eval import simple_evaluate
    from lm_eval.loggers import EvaluationTracker

    from sna_eval.harness.plugin.registration import register

    register()

    def call(
        *tasks: str,
        output: Path | None = None,
        limit: int | None = None,
        evaluating: Mapping[str, Any] | None = None,
        **arguments: Any,
    ) -> dict[str, Any]:
        tracker = EvaluationTracker(output_path=str(output)) if output else None
        results = simple_evaluate(
            model="sna",
            model_args={"pretrained": str(checkpoint), "batch_size": 8, **arguments},
            tasks=list(tasks),
            task_manager=manager,
            evaluation_tracker=tracker,
            limit=limit,
            bootstrap_iters=0,
            **(evaluating or {}),
        )
        assert results is not None
        if tracker is not None:
            written = copy.deepcopy(dict(results))  # lm_eval changes samples as it writes them
            all_samples = written.pop("samples")
            tracker.save_results_aggregated(results=written, samples=all_samples)
            for name, samples in all_samples.items():
                tracker.save_results_samples(task_name=name, samples=samples)
        return dict(results)

    return call
