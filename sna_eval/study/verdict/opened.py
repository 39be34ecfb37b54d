"""When test items were opened, and under which registration: once is a test, twice is a search.

A line for each time, beside the registration and in the cache folder, by model and items: there
another registration over the same items finds it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from sna_eval.cache import digest, read_entry, write_entry
from sna_eval.errors import reading, writing
from sna_eval.study.verdict.registration import Registration
from sna_eval.typed import build


@dataclass(frozen=True)
class Opening:
    """One time."""

    when: str
    """UTC, to the second."""
    registration: str
    output: str
    """Folder of the verdict, as it was named."""


def openings(registration: Registration, path: Path) -> tuple[Opening, ...]:
    """All times so far, the first one first.

    **Arguments:**

    - `path`: the registration's file.
    """
    found = [*_beside(path), *_cached(registration)]
    return tuple(sorted(dict.fromkeys(found), key=lambda opening: opening.when))


def note_opening(registration: Registration, path: Path, output: Path) -> None:
    """Adds this one, unless the same verdict goes on."""
    known = openings(registration, path)
    if any(
        opening.registration == registration.hash and opening.output == str(output)
        for opening in known
    ):
        return
    now = Opening(
        datetime.now(timezone.utc).isoformat(timespec="seconds"), registration.hash, str(output)
    )
    file = _file(path)
    with writing(file), file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(asdict(now)) + "\n")
    write_entry(_entry(registration), {"openings": [asdict(opening) for opening in (*known, now)]})


def _beside(path: Path) -> list[Opening]:
    file = _file(path)
    if not file.is_file():
        return []
    with reading(str(file), expected="a line of JSON for each opening", got=file.name):
        lines = file.read_text(encoding="utf-8").splitlines()
        return [build(Opening, json.loads(line)) for line in lines]


def _cached(registration: Registration) -> list[Opening]:
    entry = read_entry(_entry(registration))
    return [] if entry is None else [build(Opening, opening) for opening in entry["openings"]]


def _file(path: Path) -> Path:
    return path.with_suffix(".opened.jsonl")


def _entry(registration: Registration) -> str:
    items = {name: task.test.hash for name, task in registration.tasks.items()}
    return f"opened-{digest([registration.model.hash, items])}"
