"""Items of tasks, and what the app and the commands are given as data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sna_eval.app.core.batch_file import read_prompt_file
from sna_eval.harness import datasets
from sna_eval.study.interference import InterferenceOptions
from tests.hostile.fuzz import Seed
from tests.hostile.loaders.base import Loader


def _items_seeds() -> list[Seed]:
    lines = [json.dumps({"question": f"{n} + 1 =", "target": f" {n + 1}"}) for n in range(3)]
    return [Seed("\n".join(lines).encode()), Seed.json({"question": "a", "target": " b"})]


def _load_items(folder: Path) -> None:
    datasets.read_split(folder / "test.jsonl")


def _tsv_seeds() -> list[Seed]:
    return [Seed("".join(f"a film {n}\t{n % 2}\n" for n in range(8)).encode())]


def _load_sst2(folder: Path) -> None:
    datasets.load_sst2(sst2_dir=str(folder))


def _prompt_seeds() -> list[Seed]:
    row = {"prompt": "Two and two are", "target": "four", "others": ["five", "six"]}
    return [Seed.json(row), Seed("\n".join(json.dumps(row) for _ in range(3)).encode())]


def _csv_seeds() -> list[Seed]:
    text = 'prompt,target,others\n"Two, and two are",four,five|six\nOne,"two ""2""",\n'
    return [Seed(text.encode())]


def _load_prompts(name: str) -> Callable[[Path], Any]:
    return lambda folder: read_prompt_file(name, (folder / name).read_bytes(), space=True)


def _load_text(folder: Path) -> None:
    InterferenceOptions(text=str(folder / "text.txt")).texts()


LOADERS = {
    "items": Loader("test.jsonl", _items_seeds, _load_items),
    "sst2": Loader("train.tsv", _tsv_seeds, _load_sst2, lambda: {"dev.tsv": b"good\t1\nbad\t0\n"}),
    "prompts": Loader("own.jsonl", _prompt_seeds, _load_prompts("own.jsonl")),
    "prompts csv": Loader("own.csv", _csv_seeds, _load_prompts("own.csv")),
    "text": Loader("text.txt", lambda: [Seed(b"A sentence.\nAnother.\n")], _load_text),
}
