"""A screened sweep against the exact one: same model, same tasks, same process.

    python benchmarks/screen.py                                   # the bundled model, two tasks
    python benchmarks/screen.py --model FOLDER --tasks sna_generation
    python benchmarks/screen.py --tasks sna_math_easy --exact all  # and what each of them chose

The screened sweep runs whole, into a store. The exact one runs the middle layer alone, of every
task: cost falls evenly from layer to layer, as the blocks below a configuration's are not run, so
that the middle one's is the mean. What all layers take is extrapolated from it, and said to be.
`--exact all` runs all of them, and compares the best that either sweep found.

Times are of the processor, all threads together, so that other programs on the machine count
little; `screened_wall_s` is the clock's.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from sna_eval.files import tasks_path
from sna_eval.study.choosing import SelectOptions, select
from sna_eval.study.sweep import (
    ScreenOptions,
    Sweep,
    SweepOptions,
    SweepStore,
    run_sweep,
    store_agreements,
)


def main() -> None:
    args = _arguments()
    options = SweepOptions(
        tasks=tuple(args.tasks.split(",")),
        model_args=f"pretrained={args.model}",
        include_path=str(tasks_path()),
        limit=args.items,
    )
    whole = Sweep(options)
    lm, tasks = whole.lm, whole.tasks  # loaded once, and known to both
    folder = Path(args.output or tempfile.mkdtemp())
    screened = Sweep(replace(options, screen=ScreenOptions()), lm=lm, tasks=tasks)
    start, wall = time.process_time(), time.perf_counter()
    store = run_sweep(screened, folder / "screened")
    seconds, wall = time.process_time() - start, time.perf_counter() - wall
    result: dict[str, Any] = {
        "model": args.model,
        "items": args.items,
        "configurations": store.configurations(predicted=True).num_rows,
        "measured": store.configurations().num_rows,
        "screened_s": seconds,
        "screened_wall_s": wall,
        "agreement": _agreement(store),
    }
    if args.exact == "all":
        result |= _all_layers(Sweep(options, lm=lm, tasks=tasks), folder, store)
    else:
        result |= _middle_layers(Sweep(options, lm=lm, tasks=tasks))
    result["ratio"] = result["exact_s"] / seconds
    print(json.dumps(result, indent=2))


def _middle_layers(sweep: Sweep) -> dict[str, Any]:
    """Seconds of the middle layer of every task, and what they come to for all layers.

    Ranking and baseline are done once for all layers, and count once.
    """
    measured = extrapolated = 0.0
    for name, subject in sweep.subjects.items():
        layers = subject.grid.layers
        grid, ranking = _timed(partial(sweep.task_grid, name))
        started, once = _timed(partial(grid.start, layers))
        every = range(subject.grid.per_layer)
        middle = layers[len(layers) // 2]
        _, configurations = _timed(partial(grid.measured, started, middle, every))
        measured += ranking + once + configurations
        extrapolated += ranking + once + configurations * len(layers)
    return {"exact_measured_s": measured, "exact_s": extrapolated, "exact": "extrapolated"}


def _timed(run: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    result = run()
    return result, time.process_time() - start


def _all_layers(sweep: Sweep, folder: Path, screened: SweepStore) -> dict[str, Any]:
    """Seconds of the whole grid, and the best development gain that either sweep found."""
    start = time.process_time()
    store = run_sweep(sweep, folder / "exact")
    seconds = time.process_time() - start
    best, found = (_best(searched) for searched in (store, screened))
    return {
        "exact_s": seconds,
        "exact": "measured",
        "gains": {
            task: {"exact": gain, "screened": found[task], "share": found[task] / gain}
            for task, gain in best.items()
            if gain > 0
        },
    }


def _best(store: SweepStore) -> dict[str, float]:
    """Development gain of the configuration that `select --by mean` takes, by task."""
    return {choice.task: choice.gain for choice in select(store, SelectOptions(by="mean")).choices}


def _agreement(store: SweepStore) -> dict[str, dict[str, float | None]]:
    """Rank correlation of predicted and measured effects, by task and multiplier."""
    return {
        task: {f"x{agreement.multiplier:g}": agreement.rank_correlation for agreement in found}
        for task, found in store_agreements(store).items()
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="sna-reference", help="name or folder of a model")
    parser.add_argument("--tasks", default="sna_math_easy,sna_logic_hard", help="comma-separated")
    parser.add_argument("--items", type=int, default=50, help="development items of a task")
    parser.add_argument("--exact", choices=("middle", "all"), default="middle")
    parser.add_argument("--output", help="folder of the stores; default: a temporary one")
    return parser.parse_args()


if __name__ == "__main__":
    main()
