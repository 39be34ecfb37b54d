"""SST-2's fixed samples, the same from files and from the hub; items that are not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import pytest

from sna_eval.errors import InputError
from sna_eval.harness.datasets import SST2_VARIABLE, load_items, load_sst2, read_items


def sentences(split: str, count: int) -> list[dict[str, Any]]:
    return [{"sentence": f"{split} sentence {n}", "label": n % 2} for n in range(count)]


TRAIN, DEV = sentences("train", 450), sentences("dev", 230)
"""More than is taken."""


@pytest.fixture
def local(tmp_path: Path) -> str:
    """A folder of files; sentences carry the space that SST-2's end with."""
    for name, rows in (("train", TRAIN), ("dev", DEV)):
        lines = [f"{row['sentence']} \t{row['label']}" for row in rows]
        (tmp_path / f"{name}.tsv").write_text("\n".join(lines))
    return str(tmp_path)


def test_a_fixed_sample_in_the_order_of_the_source(local: str) -> None:
    found = load_sst2(sst2_dir=local)
    for split, source, count in (("test", DEV, 200), ("development", TRAIN, 400)):
        places = [source.index(row) for row in found[split]]  # fails for a row of another source
        assert places == sorted(set(places))
        assert len(places) == count
        assert places != list(range(count))  # drawn, not the first ones
        assert list(load_sst2(sst2_dir=local)[split]) == list(found[split])


def test_the_hubs_rows_give_the_same_sample(local: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of the hub: the same sentences under the hub's names of splits and columns."""

    def split(rows: list[dict[str, Any]]) -> datasets.Dataset:
        return datasets.Dataset.from_list(
            [{**row, "idx": n, "sentence": f"{row['sentence']} "} for n, row in enumerate(rows)]
        )

    hub = {"stanfordnlp/sst2": {"train": split(TRAIN), "validation": split(DEV)}}
    monkeypatch.setattr(datasets, "load_dataset", hub.__getitem__)
    monkeypatch.setenv(SST2_VARIABLE, "")
    monkeypatch.chdir(local)
    found, expected = load_sst2(), load_sst2(sst2_dir=local)
    for name in ("test", "development"):
        assert list(found[name]) == list(expected[name])


def test_items_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="items: expected a file of a task's items, got"):
        read_items(tmp_path / "test.jsonl")
    with pytest.raises(InputError, match="items: expected a file of a task's items, got"):
        load_items(items="no_such_task")
