"""Runs a sweep into a store: what is there already is kept, the rest is computed."""

from __future__ import annotations

from pathlib import Path

from tqdm import tqdm

from sna_eval.study.sweep.executors import Executor, local_executor
from sna_eval.study.sweep.lock import only_writer
from sna_eval.study.sweep.store import SweepStore
from sna_eval.study.sweep.sweep import Sweep


def run_sweep(
    sweep: Sweep,
    output: str | Path,
    *,
    executor: Executor = local_executor,
    quiet: bool = False,
) -> SweepStore:
    """Computes the units that the store lacks.

    **Arguments:**

    - `output`: the store's folder; one that was begun by an equal sweep is completed.
    - `executor`: where units are computed.
    - `quiet`: whether to show no progress.

    **Raises:** `InputError` where the folder holds another sweep, or another process writes it.

    !!! example

        ```python
        sweep = Sweep(SweepOptions(tasks=("sna_math_easy",)))
        store = run_sweep(sweep, "sweeps/math")
        table = store.configurations().to_pandas()
        ```
    """
    manifest = sweep.manifest()
    with only_writer(Path(output)):
        return _complete(SweepStore.begin(output, manifest), sweep, executor, quiet=quiet)


def _complete(store: SweepStore, sweep: Sweep, executor: Executor, *, quiet: bool) -> SweepStore:
    pending, sweep.quiet = store.pending(), quiet
    sizes = {unit: sweep.subjects[unit.task].grid.per_layer for unit in store.units}
    done = sum(sizes.values()) - sum(sizes[unit] for unit in pending)
    bar = tqdm(total=sum(sizes.values()), initial=done, unit="config", desc="Sweep", disable=quiet)
    with bar:
        for result in executor(sweep, pending):
            store.write(result)
            bar.set_postfix_str(f"{result.unit.task}, layer {result.unit.layer}", refresh=False)
            bar.update(sizes[result.unit])
    return store
