"""A whole evaluation, from starting Python to its end, with `sna` and with `--model hf`.

    python benchmarks/whole_run.py --model PATH [--layer 20] [--documents 200] [--repeats 3]

Each side is a process of its own that imports lm_eval, loads model and tokenizer, and evaluates
`sna_sst2` (`SNA_EVAL_SST2` names its folder), in turn. lm_eval's index of its own 14,000 task files
is left out on both sides: a fixed cost that takes as long as the scoring. The gate opens for the
share of documents whose margin is smallest. Printed are processor seconds and seconds on the clock,
medians, and the ratio of the sides; where a machine has other work, go by the processor's.

`first` is `sna` with an empty cache: what the model allows is tried. `sna` finds it in the cache
folder, as every later run does.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TASK = "sna_sst2"
BOUND = 0.75
"""Of `sna` over `hf`, with a quarter of the gates open at layer 20 of SmolLM2-135M."""


def evaluate(side: str, args: argparse.Namespace, low: float) -> None:
    """One evaluation in this process; prints the confidences as JSON."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    from sna_eval.files import tasks_path

    arguments: dict[str, Any] = {"pretrained": args.model, "dtype": "float32"}
    if side != "hf":
        neurons = ";".join(map(str, range(10)))
        arguments |= {"layer": args.layer, "neurons": neurons, "multiplier": 2.0}
        arguments |= {"gate": "margin", "low": low, "high": 1.0}
    results = simple_evaluate(
        model=side,
        model_args=arguments,
        tasks=[TASK],
        task_manager=TaskManager(include_path=str(tasks_path()), include_defaults=False),
        batch_size=args.batch_size,
        device="cpu",
        limit=args.documents,
        bootstrap_iters=0,
    )
    print(json.dumps([sample.get("confidence") for sample in results["samples"][TASK]]))


def run(side: str, args: argparse.Namespace, low: float, cache: Path) -> tuple[float, float, Any]:
    """Processor seconds, seconds on the clock, and what a process of its own printed."""
    environment = {**os.environ, "SNA_EVAL_CACHE": str(cache), "HF_HUB_OFFLINE": "1"}
    command = [
        sys.executable, __file__, "--model", args.model, "--layer", str(args.layer),
        "--documents", str(args.documents), "--batch-size", str(args.batch_size),
        "--side", side, "--low", str(low),
    ]  # fmt: skip
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used, time.perf_counter() - started, json.loads(done.stdout.splitlines()[-1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="folder of a model")
    parser.add_argument("--layer", type=int, default=20)
    parser.add_argument("--documents", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--open", type=float, default=0.25, help="share of gates that open")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--side", choices=["hf", "sna"], help=argparse.SUPPRESS)
    parser.add_argument("--low", type=float, default=0.0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        evaluate(args.side, args, args.low)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        first, _, confidences = run("sna", args, 0.0, cache)
        low = sorted(confidences)[int(args.open * len(confidences))]
        taken: dict[str, list[tuple[float, float]]] = {"hf": [], "sna": []}
        for _ in range(args.repeats):
            for side, of_side in taken.items():
                used, clock, _ = run(side, args, low, cache)
                of_side.append((used, clock))
    print(f"sna, first, no gate open: {first:.1f} s of processor time")
    used, clock = (
        {
            side: statistics.median(entry[place] for entry in of_side)
            for side, of_side in taken.items()
        }
        for place in (0, 1)
    )
    for name, of_side in (("processor", used), ("clock", clock)):
        ratio = of_side["sna"] / of_side["hf"]
        print(f"{name}: hf {of_side['hf']:.1f} s, sna {of_side['sna']:.1f} s, ratio {ratio:.3f}")
    print(f"bound {BOUND}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
