"""The rows that `reproduce` writes are those of its sweeps."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from sna_eval.paper.configurations import COLUMNS, FILE, write_configurations
from sna_eval.paper.protocol import ProtocolConfig
from sna_eval.study.sweep import SweepStore


def test_every_configuration_of_every_sweep(store: SweepStore, tmp_path: Path) -> None:
    write_configurations({"claim": store.path, "placebo-1": store.path}, tmp_path)
    written = pd.read_csv(tmp_path / FILE)
    expected = store.configurations().to_pandas()[list(COLUMNS)]
    for name, rows in written.groupby("ranking"):
        rows = rows.drop(columns="ranking").reset_index(drop=True)
        pd.testing.assert_frame_equal(rows, expected, rtol=1e-7, check_dtype=False)
        assert name in {"claim", "placebo-1"}
    assert len(written) == 2 * len(expected)


def test_the_sweeps_of_a_run(tmp_path: Path) -> None:
    config = ProtocolConfig("m", tmp_path, placebos=2)
    steps = [*config.steps(), *config.placebo_steps()]
    written = [
        Path(step[step.index("--output") + 1])
        for step in steps
        if step[0] == "sweep" and "sna_generation" in step
    ]
    assert list(config.sweeps()) == ["claim", "placebo-1", "placebo-2"]
    assert list(config.sweeps().values()) == written
