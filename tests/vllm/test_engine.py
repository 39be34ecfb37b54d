"""`sna-vllm`: the plan as a LoRA by itself, in the process of the evaluation."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.vllm.conftest import lm_eval, samples_of
from tests.vllm.test_server import TASKS, held_together, own

__all__ = ["own"]
ENGINE = "dtype=float32,max_model_len=1024,enforce_eager=True,max_num_seqs=16"


@pytest.mark.parametrize("task", ["sna_logic_easy", "own_texts"])
def test_the_same_as_in_this_process(
    task: str, own: object, vllm_python: str, smollm2: Path, plan_file: Path, tasks: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    limit, bounds = TASKS[task]
    done = lm_eval(
        "sna-vllm", f"pretrained={smollm2},plan={plan_file},{ENGINE}", task, tmp_path, limit=limit,
        tasks=tasks, python=vllm_python,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    opened = held_together(own(task), samples_of(tmp_path, task), bounds)  # type: ignore[operator]
    assert 0 < opened < limit
