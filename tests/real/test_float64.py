"""Scores lie no further from float64 than those of `--model hf`: docs/reliability.md, in short."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "exactness.py"
CASES = ("ten tokens", "ten tokens, no beginning token")


@pytest.mark.parametrize(
    ("name", "cases"),
    [
        ("smollm2", CASES),
        ("gemma3", CASES[:1]),
        pytest.param("gemma3", CASES[1:], marks=pytest.mark.slow),
    ],
)
def test_no_further_than_hf(
    request: pytest.FixtureRequest, name: str, cases: tuple[str, ...]
) -> None:
    folder = request.getfixturevalue(name)
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--model", str(folder), "--check", "--cases", *cases],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("| baseline |") == done.stdout.count("| amplified |") == len(cases)
