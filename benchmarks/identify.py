"""Looking for a plan's neurons against one plain `--model hf` evaluation of the same tasks.

    python benchmarks/identify.py --model FOLDER [--tasks sna_generation] [--repeats 1] [--check]

Three commands, each a whole process with its imports and loading, one after the other, `--repeats`
times: `lm_eval --model hf` on the tasks; `sna-eval identify` for one layer a task, spread over the
model's depth; `sna-eval identify` for every layer of every task. Nothing is kept between the runs:
each has an empty cache folder, so that neutral text is read in each. Prints the median seconds and
both ratios to the evaluation, by the clock and by the processor's time, which other work on the
machine changes little; `--check` fails where one by the clock misses its bound. Figures stand in
`benchmarks/RESULTS.md`.

`--exact` instead looks at one task's activations by plain hooks and full passes, one prompt at a
time, and prints the largest difference of a mean, relative to the layer's largest mean.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

BOUNDS = {"one layer a task": 0.3, "every layer": 0.5}
EXACT_LAYERS = 3
EXACT_TASK = "sna_math_easy"


def bundled_tasks(group: str) -> list[str]:
    """Names of the tasks in a bundled group, or the one task of that name."""
    from sna_eval.files import tasks_path

    path = tasks_path() / f"{group}.yaml"
    listed = yaml.safe_load(path.read_text(encoding="utf-8")).get("task", group)
    return listed if isinstance(listed, list) else [listed]


def plan_of(tasks: list[str], n_layers: int, *, every: bool) -> dict[str, Any]:
    """A plan that asks for ten neurons in one layer of each task, or in every layer."""
    layers = {
        name: range(n_layers) if every else [number * n_layers // len(tasks)]
        for number, name in enumerate(tasks)
    }
    return {
        "version": 1,
        "tasks": {
            name: {
                "interventions": [
                    {"layer": layer, "multiplier": 2.0, "select": {"top_k": 10}}
                    for layer in numbers
                ]
            }
            for name, numbers in layers.items()
        },
    }


@dataclass(frozen=True)
class Taken:
    """What a command took, in seconds."""

    clock: float
    processor: float


def taken_by(command: list[str], folder: Path) -> Taken:
    """What a command takes, as a process with an empty cache."""
    with tempfile.TemporaryDirectory(dir=folder) as cache:
        environment = {**os.environ, "SNA_EVAL_CACHE": cache}
        start, before = time.perf_counter(), _processor_seconds()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        taken = Taken(time.perf_counter() - start, _processor_seconds() - before)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr[-2000:]}")
    return taken


def _processor_seconds() -> float:
    """Of all processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def commands(model: str, tasks: list[str], n_layers: int, folder: Path) -> dict[str, list[str]]:
    """The evaluation and both searches."""
    from sna_eval.files import tasks_path

    named = ",".join(tasks)
    evaluation = [
        sys.executable, "-m", "lm_eval", "--model", "hf", "--model_args", f"pretrained={model}",
        "--tasks", named, "--include_path", str(tasks_path()), "--device", "cpu",
    ]  # fmt: skip
    found = {"lm_eval --model hf": evaluation}
    for way in BOUNDS:
        plan = folder / f"{way.replace(' ', '_')}.yaml"
        written = plan_of(tasks, n_layers, every=way == "every layer")
        plan.write_text(yaml.safe_dump(written), encoding="utf-8")
        found[way] = [
            sys.executable, "-m", "sna_eval.cli", "identify", "--model_args",
            f"pretrained={model},device=cpu", "--plan", str(plan), "--tasks", named,
            "--output", str(folder / "found.yaml"),
        ]  # fmt: skip
    return found


def measure(model: str, tasks: list[str], repeats: int) -> dict[str, Taken]:
    """Median seconds of each command."""
    from transformers import AutoConfig

    n_layers = AutoConfig.from_pretrained(model).num_hidden_layers
    with tempfile.TemporaryDirectory() as folder:
        every = commands(model, tasks, n_layers, Path(folder))
        taken: dict[str, list[Taken]] = {name: [] for name in every}
        for _ in range(repeats):
            for name, command in every.items():
                run = taken_by(command, Path(folder))
                taken[name].append(run)
                print(f"{name}: {run.clock:.1f} s, processor {run.processor:.1f} s", flush=True)
    return {
        name: Taken(
            statistics.median(one.clock for one in runs),
            statistics.median(one.processor for one in runs),
        )
        for name, runs in taken.items()
    }


def largest_difference(model: str) -> float:
    """Of mean activations from full passes of one prompt each, relative to the layer's largest."""
    from sna_eval.harness.loading import load_lm, load_tasks
    from sna_eval.harness.tasks.development import examples_of
    from sna_eval.neurons import Search, SearchConfig

    lm = load_lm(f"pretrained={model},device=cpu", gate="never")
    examples = examples_of(load_tasks([EXACT_TASK])[EXACT_TASK], 256)
    layers = lm.sites.layers[:: max(1, len(lm.sites.layers) // EXACT_LAYERS)]
    search = Search(lm.bench, examples, SearchConfig(), layers)
    expected = full_means(lm, [lm.tok_encode(prompt) for prompt in examples.prompts], layers)
    return max(
        float((search.observed.task[layer] - mean).abs().max() / mean.abs().max())
        for layer, mean in expected.items()
    )


def full_means(lm: Any, rows: list[list[int]], layers: Sequence[int]) -> dict[int, torch.Tensor]:
    """Mean activations at all positions but the first, one full pass a prompt."""
    seen: dict[int, list[torch.Tensor]] = {layer: [] for layer in layers}
    handles = [
        lm.sites.projections[layer].register_forward_pre_hook(
            lambda module, args, layer=layer: seen[layer].append(
                args[0].flatten(0, -2)[1:].double()
            )
        )
        for layer in layers
    ]
    with torch.no_grad():
        for row in rows:
            lm.model(torch.tensor([row]))
    for handle in handles:
        handle.remove()
    return {layer: torch.cat(batches).mean(dim=0) for layer, batches in seen.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="folder or hub name of a real model")
    parser.add_argument("--tasks", default="sna_generation", help="a bundled task or group")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--check", action="store_true", help="fail where a bound is missed")
    parser.add_argument("--exact", action="store_true", help="compare with full passes instead")
    args = parser.parse_args()
    if args.exact:
        print(f"largest relative difference of a mean: {largest_difference(args.model):.1e}")
        return 0
    taken = measure(args.model, bundled_tasks(args.tasks), args.repeats)
    evaluation = taken.pop("lm_eval --model hf")
    missed = 0
    for way, used in taken.items():
        by_clock = used.clock / evaluation.clock
        by_processor = used.processor / evaluation.processor
        missed += by_clock > BOUNDS[way]
        compared = f"{by_clock:.3f} by the clock, {by_processor:.3f} by the processor"
        print(f"identify, {way}: {compared} (bound {BOUNDS[way]})")
    return int(args.check and missed > 0)


if __name__ == "__main__":
    sys.exit(main())
