"""Evaluations in several processes on one machine without a GPU, and the same in one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sna_eval.files import tasks_path
from tests.conftest import VOCABULARY, build_model
from tests.harness.conftest import own_tasks  # noqa: F401  (a fixture)

ROOT = Path(__file__).resolve().parents[2]
SIZES = {
    "gpt2": {"n_positions": 256, "vocab_size": VOCABULARY},
    "llama": {"max_position_embeddings": 256, "vocab_size": VOCABULARY},
}

Results = dict[str, Any]
Job = dict[str, Any]


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory, word_tokenizer: Any) -> Callable[[str], Path]:
    """The folder of a tiny model of an architecture, with a tokenizer."""
    folders: dict[str, Path] = {}

    def save(name: str) -> Path:
        if name not in folders:
            folders[name] = tmp_path_factory.mktemp(name)
            build_model(name, **SIZES[name]).save_pretrained(folders[name])
            word_tokenizer.save_pretrained(folders[name])
        return folders[name]

    return save


@pytest.fixture(scope="session")
def job(own_tasks: Path) -> Callable[..., Job]:  # noqa: F811
    """An evaluation as `tests.devices.evaluate` reads it."""

    def describe(model_args: dict[str, Any], tasks: list[str], **more: Any) -> Job:
        include = [str(tasks_path()), str(own_tasks)]
        return {"model_args": model_args, "tasks": tasks, "include": include, "limit": 5, **more}

    return describe


def launch(jobs: list[Job], folder: Path, *, processes: int = 2) -> tuple[list[Results], str]:
    """Runs jobs one after another in several processes; their results and what was printed."""
    paths, outputs = [], []
    for number, job in enumerate(jobs):
        paths.append(folder / f"job{number}.json")
        outputs.append(folder / f"results{number}.json")
        outputs[-1].unlink(missing_ok=True)
        paths[-1].write_text(json.dumps({**job, "output": str(outputs[-1])}))
    done = subprocess.run(
        [*torchrun(processes), "-m", "tests.devices.evaluate", *map(str, paths)],
        cwd=ROOT, env=environment(), capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(path.read_text()) for path in outputs], done.stdout + done.stderr


def torchrun(processes: int) -> list[str]:
    """The launcher's command, on a port of its own."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return [*launcher, "--nproc_per_node", str(processes)]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def environment() -> dict[str, str]:
    """One thread per process, so that two do not wait for each other's."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def answers(results: Results, key: str = "filtered_resps") -> dict[tuple[str, int], list[Any]]:
    """Every document's answers, by task and document."""
    return {
        (task, sample["doc_id"]): sample[key]
        for task, samples in results["samples"].items()
        for sample in samples
    }


def numbers(values: Any) -> list[float]:
    """All numbers in nested lists, in order."""
    if isinstance(values, (list, tuple)):
        return [number for value in values for number in numbers(value)]
    return [float(values)] if isinstance(values, (int, float)) else []


def texts(values: Any) -> list[str]:
    """All texts in nested lists, in order."""
    if isinstance(values, (list, tuple)):
        return [text for value in values for text in texts(value)]
    return [values] if isinstance(values, str) else []


def assert_same_baselines(got: Results, expected: Results) -> None:
    """The unmodified model's answers and metrics, of two `sna` runs."""
    assert_same_answers(got, expected, "baseline_filtered_resps")
    for task, values in expected["results"].items():
        told = {
            name: value for name, value in values.items()
            if name.startswith("baseline_") and "_stderr" not in name
        }  # fmt: skip
        assert told
        assert {name: got["results"][task][name] for name in told} == pytest.approx(told, rel=1e-5)


def assert_same_answers(
    got: Results, expected: Results, key: str = "filtered_resps", *, rel: float = 3e-7
) -> None:
    """Scores to 1e-5, or float32's last bits of a long sum; texts and greedy choices exactly.

    **Arguments:**

    - `rel`: of a long sum; more where the two sides round in other places, as merged weights do.
    """
    first, second = answers(got, key), answers(expected, key)
    assert first.keys() == second.keys()
    for key, values in second.items():
        assert numbers(first[key]) == pytest.approx(numbers(values), abs=1e-5, rel=rel), key
        assert texts(first[key]) == texts(values), key


def assert_same_counts(got: Results, expected: Results) -> None:
    """Plans, decisions and the way they came about."""
    first, second = (dict(results["config"]["sna"]) for results in (got, expected))
    for entry in (first, second):
        del entry["processes"]
        entry["amplified_fraction"] = round(entry["amplified_fraction"], 12)
    assert json.loads(json.dumps(first)) == json.loads(json.dumps(second))


def scores(lm: Any) -> list[float]:
    """Log-likelihoods of three continuations of each of four contexts."""
    from lm_eval.api.instance import Instance

    contexts = ["the cat sat", "on a mat while", "rain fell over the town", "and so"]
    requests = [
        Instance("loglikelihood", {}, (context, continuation), 0, ("any", number, 1))
        for number, context in enumerate(contexts)
        for continuation in (" yes", " no, not at all", " it went on")
    ]
    return [float(score) for score, _ in lm.loglikelihood(requests, disable_tqdm=True)]
