"""Data of the bundled tasks, for lm_eval's `custom_dataset` hook: found from any working folder."""

from __future__ import annotations

import json
import logging
import os
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import datasets

from sna_eval.errors import InputError, reading
from sna_eval.files import LARGEST_FILE, expanded, is_file, read_lines, tasks_path

SST2_VARIABLE = "SNA_EVAL_SST2"
"""Environment variable that names a folder with `train.tsv` and `dev.tsv`."""
_SST2_BESIDE = Path("../shared/data/sst2")
_SST2_HUB = "stanfordnlp/sst2"
_SST2_SEED = 42
_SST2_TEST_ITEMS, _SST2_DEVELOPMENT_ITEMS = 200, 400


def _says_nothing_of_ours(record: logging.LogRecord) -> bool:
    """lm_eval says of any `custom_dataset` that it takes arguments; ours take none."""
    text = record.getMessage()
    return not (text.startswith("sna_") and "Custom kwargs can be passed" in text)


logging.getLogger("lm_eval.api.task").addFilter(_says_nothing_of_ours)


def load_items(*, items: str, **_: Any) -> datasets.DatasetDict:
    """A task's test items, and its development items where it has some.

    **Arguments:**

    - `items`: name of the folder under `task_configs/data`, or path of one elsewhere.
    """
    folder = tasks_path() / "data" / items
    found = {"test": read_split(folder / "test.jsonl")}
    if is_file(folder / "development.jsonl"):
        found["development"] = read_split(folder / "development.jsonl")
    return datasets.DatasetDict(found)


def load_sst2(*, sst2_dir: str | None = None, **_: Any) -> datasets.DatasetDict:
    """SST-2: 200 validation sentences (seed 42) as `test`, 400 training sentences as `development`.

    Taken from `sst2_dir` or `$SNA_EVAL_SST2`, else from `../shared/data/sst2` if that exists, else
    from the hub. Local files are `sentence TAB label`, 1 for positive.
    """
    folder = _sst2_folder(sst2_dir)
    if folder is not None:
        train, validation = _read_tsv(folder / "train.tsv"), _read_tsv(folder / "dev.tsv")
    else:
        train, validation = _sst2_from_hub()
    return datasets.DatasetDict(
        {
            "test": _drawn(validation, _SST2_TEST_ITEMS),
            "development": _drawn(train, _SST2_DEVELOPMENT_ITEMS),
        }
    )


def _sst2_folder(named: str | None) -> Path | None:
    """The folder that was named, or the one beside the working folder, if any."""
    named = named or os.environ.get(SST2_VARIABLE)
    if not named:
        return _SST2_BESIDE if is_file(_SST2_BESIDE / "dev.tsv") else None
    folder = expanded(named)
    if not is_file(folder / "dev.tsv"):
        raise InputError(
            "sst2_dir", expected="a folder with train.tsv and dev.tsv", got=str(folder),
            hint=f"{SST2_VARIABLE} names it where the task does not",
        )  # fmt: skip
    return folder


def _sst2_from_hub() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    try:
        hub = datasets.load_dataset(_SST2_HUB)
    except Exception as error:  # whatever kept the hub away, the way out is the same
        raise InputError(
            "sna_sst2",
            expected=f"the data set {_SST2_HUB} from the hub",
            got=type(error).__name__,
            hint=f"set {SST2_VARIABLE} to a folder with train.tsv and dev.tsv",
        ) from error
    return [
        [{"sentence": row["sentence"].strip(), "label": row["label"]} for row in hub[split]]
        for split in ("train", "validation")
    ]  # type: ignore[return-value]


def read_split(path: Path) -> datasets.Dataset:
    """A file of items as a split: all of them with the same fields."""
    items = read_items(path)
    with reading(str(path), expected="items with the same fields", got=path.name):
        for item in items:  # the first one's fields would be taken for all
            if item.keys() != items[0].keys():
                raise ValueError(f"{sorted(item)} beside {sorted(items[0])}")
        return datasets.Dataset.from_list(items)


def read_items(path: Path) -> list[dict[str, Any]]:
    """A file of items, one JSON object a line."""
    if not path.is_file():
        raise InputError(
            "items", expected="a file of a task's items", got=str(path),
            hint="`dataset_kwargs: {items: FOLDER}` in the task's YAML says where they lie",
        )  # fmt: skip
    return [_item(line, f"{path}:{number}") for number, line in _lines(path) if line]


def _item(line: str, place: str) -> dict[str, Any]:
    with reading(place, expected="an item in JSON", got=line):
        item = json.loads(line)
    if not isinstance(item, dict):
        raise InputError(place, expected="an item, a JSON object", got=line)
    return item


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines without their ends, and their numbers from 1."""
    with reading(str(path), expected="a text file in UTF-8", got=path.name):
        for number, line in read_lines(path, largest=LARGEST_FILE):
            yield number, line.decode("utf-8").rstrip("\r\n")


def _read_tsv(path: Path) -> list[dict[str, Any]]:
    rows = []
    for number, line in _lines(path):
        sentence, _, label = line.rpartition("\t")
        if label not in ("0", "1"):
            raise InputError(f"{path}:{number}", expected="sentence TAB 0 or 1", got=line)
        rows.append({"sentence": sentence.strip(), "label": int(label)})
    if not rows:
        raise InputError(str(path), expected="sentence TAB 0 or 1 in each line", got="no lines")
    return rows


def _drawn(rows: Iterable[dict[str, Any]], count: int) -> datasets.Dataset:
    """A fixed sample, in the order of the source."""
    pool = list(rows)
    chosen = random.Random(_SST2_SEED).sample(range(len(pool)), min(count, len(pool)))
    return datasets.Dataset.from_list([pool[number] for number in sorted(chosen)])
