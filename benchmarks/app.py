"""How long the app's clicks take on a model: seconds by the clock, and of processor time.

    python benchmarks/app.py --model PATH [--rows 50]

What a click waits for, without the browser: loading the model, the values that the controls begin
with, the first `Amplify` (it searches for the neurons of all layers), a second one with another
multiplier, the map of all layers and multipliers until its first row and its last, and a batch of
the task's development items. Where a machine has other work, go by the processor's.

Neutral text is read once per model and kept in the cache folder; `SNA_EVAL_CACHE` names another.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")


def timed(what: str, click: Callable[[], Any]) -> Any:
    """What a click gives; prints how long that took."""
    clock, processor = time.perf_counter(), time.process_time()
    result = click()
    took = time.perf_counter() - clock, time.process_time() - processor
    print(f"| {what} | {took[0]:.1f} | {took[1]:.1f} |", flush=True)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", required=True, help="folder of a model, or its name")
    parser.add_argument("--rows", type=int, default=50, help="of the batch")
    args = parser.parse_args()
    print("| click | s | processor s |\n|---|---|---|")
    timed("imports", _imports)

    from sna_eval.app.core.batch import run_batch
    from sna_eval.app.core.batch_file import FileRow
    from sna_eval.app.core.mapping import MapConfig, map_layers
    from sna_eval.app.core.models import SHELF
    from sna_eval.app.core.question import FIRST_TASK, task_questions
    from sna_eval.app.core.setting import PromptSource, Setting
    from sna_eval.app.core.trying import TryConfig, try_it

    workspace = timed("loading the model", lambda: SHELF.get(args.model))
    look = timed("the controls' first values", lambda: workspace.first_look)
    setting = Setting(PromptSource(FIRST_TASK), look.layer, look.count, look.multiplier)
    timed("`Amplify`, first", lambda: try_it(workspace, TryConfig(look.question, setting)))
    other = replace(setting, multiplier=1.5)
    timed("`Amplify`, second", lambda: try_it(workspace, TryConfig(look.question, other)))
    rows = map_layers(workspace, MapConfig(look.question, setting))
    timed("the map's first row", lambda: next(rows))
    timed("the map's other rows", lambda: list(rows))
    asked = enumerate(task_questions(FIRST_TASK, "development")[: args.rows], start=1)
    batch = [FileRow(line, question) for line, question in asked]
    timed(f"a batch of {len(batch)}", lambda: list(run_batch(workspace, setting, batch)))
    return 0


def _imports() -> None:
    import sna_eval.app.core.trying
    import sna_eval.harness.lm  # noqa: F401


if __name__ == "__main__":
    sys.exit(main())
