"""The main job: a model on all bundled tasks, baseline and amplified in one run.

    python scripts/demo.py --output out/demo                # the bundled model
    python scripts/demo.py --model smollm2 --output out/real  # one that nobody here trained

Prints the `lm_eval` command, what it prints, and baseline and amplified scores side by side. Where
SST-2 is neither at hand nor to be had from the hub, that task is left out, and the demo says so.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

from real_models import bring
from sna_eval.errors import InputError, report
from sna_eval.files import tasks_path
from sna_eval.study.results.zone_table import format_rows, zone_rows

REFERENCE = "sna-reference"
PLANS = {"smollm2": Path(__file__).resolve().parents[1] / "examples" / "smollm2.yaml"}
"""What is done to a real model."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--model", default=REFERENCE, choices=[REFERENCE, *PLANS])
    parser.add_argument("--output", default="out/demo", help="folder for results and samples")
    args = parser.parse_args()
    try:
        command = _command(args.model, args.output)
    except InputError as error:
        report(error)
        return 2
    print("$ " + shlex.join(command), flush=True)
    started = time.perf_counter()
    done = subprocess.run(command, env={**os.environ, "TOKENIZERS_PARALLELISM": "false"})
    if done.returncode:
        return done.returncode
    print(f"\nBaseline and amplified, by zone ({time.perf_counter() - started:.0f} s in all):\n")
    print(format_rows(zone_rows(args.output)))
    print(f"\nResults and samples lie in {Path(args.output).resolve()}")
    return 0


def _command(model: str, output: str) -> list[str]:
    tasks = "sna_all" if _sst2_at_hand() else "sna_generation,sna_transition"
    return [
        str(Path(sys.executable).with_name("lm_eval")),
        "--model", "sna",
        "--model_args", _model_args(model),
        "--tasks", tasks,
        "--include_path", str(tasks_path()),
        "--batch_size", "16",
        "--output_path", output,
        "--log_samples",
    ]  # fmt: skip


def _model_args(model: str) -> str:
    if model == REFERENCE:
        return f"pretrained={REFERENCE},plan={REFERENCE}"
    return f"pretrained={bring(model)},plan={PLANS[model]}"


def _sst2_at_hand() -> bool:
    from sna_eval.harness.datasets import load_sst2

    try:
        load_sst2()
    except InputError as error:
        print(f"sna_sst2 is left out: {error}", flush=True)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
