"""Writes an export: the weights, the card, and last the record that says it is complete."""

from __future__ import annotations

from pathlib import Path

from sna_eval.errors import InputError, writing
from sna_eval.export.card import card_text
from sna_eval.export.format import ExportFormat
from sna_eval.export.formats import FORMATS
from sna_eval.export.record import record_of, write_record
from sna_eval.export.source import Source
from sna_eval.registry import either

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
    chosen = FORMATS.find(format)
    _check_holds(source, chosen)
    folder = Path(folder)
    with writing(folder):
        _make_empty(folder)
        chosen.write(source, folder)
        (folder / "README.md").write_text(card_text(source, chosen), encoding="utf-8")
        write_record(record_of(source, chosen.name), folder)
    return folder


def _check_holds(source: Source, chosen: ExportFormat) -> None:
    """Raises `InputError` where a format cannot hold what the plan does."""
    holds = "vectors" if source.vectors else "scalings"
    if chosen.holds != holds:
        fitting = either(name for name, other in FORMATS.items() if other.holds == holds)
        what = "vectors in the residual stream" if source.vectors else "factors on neurons"
        raise InputError("format", expected=f"{fitting}, for {what}", got=chosen.name)


def _make_empty(folder: Path) -> None:
    """Makes the folder; nothing that is there already is ever overwritten."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            "output", expected="a folder that is new or empty", got=str(folder),
            hint="name another one",
        )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
