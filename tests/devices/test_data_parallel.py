"""Processes that share the documents, as users start them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sna_eval.files import tasks_path
from tests.devices.conftest import (
    ROOT,
    assert_same_answers,
    assert_same_baselines,
    assert_same_counts,
    environment,
    free_port,
    launch,
    torchrun,
)
from tests.devices.evaluate import evaluate

INLINE = {"layer": 1, "neurons": "1;5;31", "multiplier": 3.0, "gate": "always"}


@pytest.mark.slow
def test_from_the_command_line(shared_data: Path, tmp_path: Path) -> None:
    """The bundled model on bundled tasks: the same results, printed and written once."""
    arguments = [
        "-m", "lm_eval", "--model", "sna", "--tasks", "sna_all", "--limit", "7",
        "--model_args", "pretrained=sna-reference,plan=sna-reference",
        "--include_path", str(tasks_path()), "--batch_size", "4", "--log_samples",
    ]  # fmt: skip
    env = {**environment(), "SNA_EVAL_SST2": str(shared_data / "sst2")}
    printed, results = [], []
    for launcher in ([sys.executable], torchrun(2)):
        folder = tmp_path / str(len(launcher))
        done = subprocess.run(
            [*launcher, *arguments, "--output_path", str(folder)],
            env=env, capture_output=True, text=True, check=True, timeout=900,
        )  # fmt: skip
        printed.append(done.stdout)
        (written,) = folder.rglob("results_*.json")
        results.append(json.loads(written.read_text()))
        assert len(list(folder.rglob("samples_*.jsonl"))) == 14
    assert [text.count("\n") for text in printed] == [printed[0].count("\n")] * 2
    assert [text.count("sna ({") for text in printed] == [1, 1], "one table's head"
    assert_same_counts(results[1], results[0])
    for task, expected in results[0]["results"].items():
        for name, value in expected.items():  # percentages move more than probabilities
            if isinstance(value, float) and "stderr" not in name:
                got = results[1]["results"][task][name]
                assert got == pytest.approx(value, abs=1e-5, rel=1e-3, nan_ok=True), name


@pytest.mark.slow
def test_two_nodes(saved: Callable[[str], Path], job: Callable[..., Any], tmp_path: Path) -> None:
    """Both processes are the first of their node; only one of them is the first of the run."""
    run = job({"pretrained": str(saved("gpt2")), **INLINE}, ["own_choices", "own_generation"])
    path, output = tmp_path / "job.json", tmp_path / "results.json"
    path.write_text(json.dumps({**run, "output": str(output)}))
    port = str(free_port())
    nodes = [
        subprocess.Popen(
            [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc_per_node",
             "1", "--node_rank", str(node), "--master_addr", "127.0.0.1", "--master_port",
             port, "-m", "tests.devices.evaluate", str(path)],
            cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for node in (0, 1)
    ]  # fmt: skip
    assert [node.wait(timeout=600) for node in nodes] == [0, 0]
    got, expected = json.loads(output.read_text()), evaluate(run)
    assert expected is not None
    assert_same_answers(got, expected)
    assert_same_baselines(got, expected)
    assert_same_counts(got, expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    "more", [{"batch_size": "auto"}, {"model_args": {"strict": True}}, {"use_cache": "answers"}]
)
def test_options(
    more: dict[str, Any], saved: Callable[[str], Path], job: Callable[..., Any], tmp_path: Path
) -> None:
    arguments = {"pretrained": str(saved("gpt2")), **INLINE, **more.pop("model_args", {})}
    if "use_cache" in more:
        more = {"use_cache": str(tmp_path / "answers")}
    run = job({**arguments, "max_batch_size": 4}, ["own_choices", "own_rolling"], **more)
    expected = evaluate({**run, "use_cache": None})
    assert expected is not None
    for _ in range(2 if "use_cache" in more else 1):
        (got,), _ = launch([run], tmp_path)
        assert_same_answers(got, expected)
        tasks = got["config"]["sna"]["tasks"]
        assert [tasks[name]["items"] for name in ("own_choices", "own_rolling")] == [5, 5]


@pytest.mark.slow
def test_bad_input_is_said_once(
    saved: Callable[[str], Path], job: Callable[..., Any], tmp_path: Path
) -> None:
    """A complaint that only the process has that searches neurons ends all of them."""
    arguments = {"pretrained": str(saved("gpt2")), "layer": 1, "top_k": 5, "multiplier": 2.0}
    arguments |= {"select": "contrastive", "gate": "always"}
    path = tmp_path / "job.json"
    path.write_text(json.dumps({**job(arguments, ["sna_math_easy"]), "output": "unused"}))
    done = subprocess.run(
        [*torchrun(2), "-m", "tests.devices.evaluate", str(path)],
        cwd=ROOT, env=environment(), capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode != 0
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("sna-eval: error: "))
    assert "two labels" in line
