"""Screened sweeps of a real model, whatever ranks its neurons; killed and gone on with."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sna_eval.study.sweep import SweepStore, store_agreements
from tests.study.sweep.processes import content

_TIMEOUT = 600.0


def command(model: Path, output: Path, *more: str) -> list[str]:
    """Two short tasks at three layers, some of 126 configurations each."""
    return [
        sys.executable, "-m", "sna_eval.cli", "sweep",
        "--model_args", f"pretrained={model}", "--tasks", "sna_coding_easy,sna_math_easy",
        "--limit", "18", "--layers", "3,15,27", "--multipliers", "1.1,1.5,2,2.4,2.8,3.2",
        "--screen", "gradient", "--output", str(output), *more,
    ]  # fmt: skip


@pytest.mark.parametrize("method", ["differential", "random", "attribution"])
def test_small_multipliers_are_predicted(smollm2: Path, tmp_path: Path, method: str) -> None:
    """Whatever ranked the neurons: rank correlation on what chance chose."""
    output = tmp_path / "store"
    subprocess.run(command(smollm2, output, "--select", method), check=True, timeout=_TIMEOUT)
    store = SweepStore.load(output)
    every = store.configurations(predicted=True).to_pandas()
    assert len(every) == 2 * 3 * 7 * 6
    assert set(every["source"]) == {"measured", "predicted"}
    for found in store_agreements(store).values():
        smallest = found[0]
        assert smallest.multiplier == 1.1
        assert smallest.rank_correlation is not None
        assert smallest.rank_correlation > 0.8


def test_killed_and_gone_on_with(smollm2: Path, tmp_path: Path) -> None:
    """A task is screened as a whole: killed behind the first, the second is done."""
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    subprocess.run(command(smollm2, undisturbed), check=True, timeout=_TIMEOUT)
    process = subprocess.Popen(command(smollm2, disturbed))
    end = time.monotonic() + _TIMEOUT
    while not list(disturbed.rglob("layer-027.parquet")) and process.poll() is None:
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    done = content(disturbed)
    assert any("sna_coding_easy" in name for name in done)
    assert not any("sna_math_easy" in name for name in done)
    subprocess.run(command(smollm2, disturbed), check=True, timeout=_TIMEOUT)
    after = content(disturbed)
    assert {name: after[name] for name in done} == done, "what was done is kept"
    assert after == content(undisturbed)
