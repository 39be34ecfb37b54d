"""Scripts of `benchmarks/` run on a model that is named; figures come from longer runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sna_eval.files import reference_model_path

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
SCRIPTS = {
    "app": ["--rows", "4"],
    "exactness": ["--cases", "ten tokens", "--check"],
    "one_pass": [
        "--cases",
        "sst2-small-8",
        "generate-closed",
        "--documents",
        "8",
        "--repeats",
        "1",
    ],
    "sweep": ["--layers", "1", "--prompts", "1", "--every", "84"],
    "whole_run": ["--layer", "4", "--documents", "8", "--repeats", "1"],
}
FIGURES = {
    "app": "| a batch of 4 |",
    "exactness": "| ten tokens | amplified |",
    "one_pass": "generate-closed",
    "sweep": "run_with_hooks",
    "whole_run": "processor: hf",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_on_a_named_model(name: str, shared_data: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(FOLDER / f"{name}.py"), "--model", str(reference_model_path()),
         *SCRIPTS[name]],
        env={**os.environ, "SNA_SHARED_DATA": str(shared_data)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert FIGURES[name] in done.stdout
