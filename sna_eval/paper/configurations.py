"""Every configuration of the sweep as rows of text, the placebos' among them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from sna_eval.errors import writing
from sna_eval.files import write_whole
from sna_eval.study.sweep import SweepStore

FILE = "configurations.csv"
COLUMNS = (
    "task", "layer", "n_neurons", "multiplier", "n_items", "zone", "baseline_prob",
    "amplified_prob",
)  # fmt: skip
"""As in a sweep's store."""


def configurations(sweeps: Mapping[str, Path]) -> pd.DataFrame:
    """Rows of several sweeps, whose names stand in the column `ranking`."""
    tables = {
        name: SweepStore.load(folder).configurations().select(list(COLUMNS)).to_pandas()
        for name, folder in sweeps.items()
    }
    return pd.concat(tables, names=["ranking"]).reset_index("ranking")


def write_configurations(sweeps: Mapping[str, Path], folder: Path) -> None:
    """Writes its file, numbers to eight digits."""
    path = folder / FILE
    with writing(path):
        text = configurations(sweeps).to_csv(index=False, float_format="%.8g")
        write_whole(path, text.encode())
