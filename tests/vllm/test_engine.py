"""`sna-vllm`: the plan as a LoRA by itself, in the process of the evaluation."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.vllm.conftest import DOCUMENTS, TASKS, engine_environment, written
from tests.vllm.held_together import Compared, hold_together

ENGINE = "dtype=float32,max_model_len=512,enforce_eager=True,max_num_seqs=16"
ASKED = ["sna_logic_easy", "own_texts"]


@pytest.fixture(scope="module")
def in_the_process(
    vllm_python: str, smollm2: Path, plan_file: Path, tasks: Path, tmp_path_factory: Any
) -> dict[str, Any]:
    """The results of `sna-vllm`."""
    folder = tmp_path_factory.mktemp("engine")
    command = [
        vllm_python, "-m", "sna_eval.cli", "run", "--model", "sna-vllm", "--tasks",
        ",".join(ASKED), "--model_args", f"pretrained={smollm2},plan={plan_file},{ENGINE}",
        "--limit", str(DOCUMENTS), "--include_path", str(tasks), "--output_path", str(folder),
        "--log_samples",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, env=engine_environment())
    assert done.returncode == 0, done.stderr[-3000:]
    return written(folder, ASKED)


@pytest.mark.parametrize("task", ASKED)
def test_the_same_as_in_this_process(
    task: str, here: Any, in_the_process: Any, compared: list[Compared]
) -> None:
    found = hold_together("sna-vllm", task, here, in_the_process, TASKS[task])
    compared.append(found)
    assert 0 < found.opened < DOCUMENTS
