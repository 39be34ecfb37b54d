"""The study from Python: sweep development items, choose, test, and look at the winner's curse.

python examples/sweep_choose_test.py
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

TASK = "sna_logic_easy"
MODEL = "pretrained=sna-reference"


def run(*command: str) -> None:
    """One command of the package, in this Python."""
    subprocess.run([sys.executable, "-m", *command], check=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        sweep, plan, out = f"{folder}/sweep", f"{folder}/plan.yaml", Path(folder, "out")
        run("sna_eval.cli", "sweep", "--model_args", MODEL, "--tasks", TASK,
            "--layers", "2,4,6", "--top_k", "5,15", "--multipliers", "1.5,2.0,2.4",
            "--output", sweep)  # fmt: skip
        run("sna_eval.cli", "select", sweep, "--output", plan)
        run("sna_eval.cli", "run", "--model_args", f"{MODEL},plan={plan}", "--tasks", TASK,
            "--batch_size", "16", "--output_path", str(out))  # fmt: skip
        (file,) = out.rglob("results_*.json")
        tested = json.loads(file.read_text(encoding="utf-8"))["results"][TASK]
        print(f"test items: {tested['delta_prob,none']:+.4f}, less than `select` said above")


if __name__ == "__main__":
    main()
