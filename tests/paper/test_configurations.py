"""The rows that `reproduce` writes are those of its sweeps."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from sna_eval.paper import protocol
from sna_eval.paper.configurations import FILE
from sna_eval.paper.protocol import ProtocolConfig, reproduce
from sna_eval.study.sweep import SweepStore

COLUMNS = [
    "task", "layer", "n_neurons", "multiplier", "n_items", "zone", "baseline_prob",
    "amplified_prob",
]  # fmt: skip


def test_every_configuration_of_every_sweep(
    store: SweepStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a run whose steps are done; what it judges of them is not asked here."""
    for name in (".", "placebo-1", "placebo-2"):
        shutil.copytree(store.path, tmp_path / name / "sweep")
    for what in ("_evidence", "_write"):
        monkeypatch.setattr(protocol, what, lambda *_: None)
    monkeypatch.setattr(protocol, "claims", lambda _: [])
    assert reproduce(ProtocolConfig("sna-reference", tmp_path, placebos=2), lambda _: 0) == 0
    written = pd.read_csv(tmp_path / FILE)
    assert list(written.columns) == ["ranking", *COLUMNS]
    assert list(written["ranking"].unique()) == ["claim", "placebo-1", "placebo-2"]
    expected = store.configurations().to_pandas()[COLUMNS]
    for _, rows in written.groupby("ranking"):
        rows = rows[COLUMNS].reset_index(drop=True)
        pd.testing.assert_frame_equal(rows, expected, rtol=1e-7, check_dtype=False)


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
