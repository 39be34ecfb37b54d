"""Scores lie no further from float64 than those of `--model hf`: docs/reliability.md, in short."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "exactness.py"
CASES = ("ten tokens", "ten tokens, no beginning token")


def test_no_further_than_hf(real: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--model", str(real), "--check", "--cases", *CASES],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("| baseline |") == done.stdout.count("| amplified |") == len(CASES)
