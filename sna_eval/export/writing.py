"""Writes an export: the weights, the card, and last the record that says it is complete."""

from __future__ import annotations

from pathlib import Path

from sna_eval.errors import InputError, writing
from sna_eval.export.card import card_text
from sna_eval.export.formats import find_format
from sna_eval.export.record import record_of, write_record
from sna_eval.export.source import Source

Format = str
"""The name of one of `sna_eval.export.formats`."""


def export_plan(source: Source, folder: str | Path, *, format: Format) -> Path:
    """Writes what a plan does to a model, for engines that know nothing of this package.

    **Arguments:**

    - `folder`: new or empty.
    - `format`: one of `sna_eval.export.formats`.

    **Returns:** the folder. It is complete once it holds its record.

    **Raises:** `InputError` where the folder is in use or cannot be written.
    """
    chosen = find_format(format)
    folder = Path(folder)
    with writing(folder):
        _make_empty(folder)
        chosen.write(source, folder)
        (folder / "README.md").write_text(card_text(source, chosen), encoding="utf-8")
        write_record(record_of(source, chosen.name), folder)
    return folder


def _make_empty(folder: Path) -> None:
    """Makes the folder; nothing that is there already is ever overwritten."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            "output", expected="a folder that is new or empty", got=str(folder),
            hint="name another one",
        )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
