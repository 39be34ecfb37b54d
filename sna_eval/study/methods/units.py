"""What one method did on one task, measured once and kept: the unit a table is resumed by."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sna_eval.errors import InputError, reading, writing

_FOLDER = "units"


@dataclass(frozen=True)
class Unit:
    """One variant on one task's test items."""

    label: str
    method: str
    task: str
    measure: str
    before: tuple[float, ...]
    """The unmodified model, by item."""
    after: tuple[float, ...]
    """With the method where the gate opens."""
    everywhere: tuple[float, ...]
    """With the method on every item, gate or no gate."""
    zones: tuple[int, ...]
    amplified: tuple[bool, ...]
    strength: float | None
    """Chosen on development items; `None` for methods without one."""
    seconds: float
    """Search, choice of strength and the gated run."""
    fingerprint: str
    """Of the resolved plan."""
    sees_answer: bool


class Units:
    """The units of one folder. Each is a JSON file, written whole or not at all."""

    def __init__(self, folder: str | Path | None, settings: Mapping[str, Any]) -> None:
        self._folder = None if folder is None else Path(folder) / _FOLDER
        if self._folder is not None:
            self._check(self._folder.parent / "settings.json", dict(settings))

    def read(self, label: str, task: str) -> Unit | None:
        """The unit, if it was measured before."""
        if self._folder is None or not (path := self._path(label, task)).is_file():
            return None
        with _reading(path):
            raw = json.loads(path.read_text(encoding="utf-8"))
            lists = {key: tuple(own) for key, own in raw.items() if isinstance(own, list)}
            return Unit(**{**raw, **lists})

    def write(self, unit: Unit) -> None:
        if self._folder is not None:
            _write(self._path(unit.label, unit.task), asdict(unit))

    def _path(self, label: str, task: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{quote(task, safe='')}.{label}.json"

    def _check(self, path: Path, settings: dict[str, Any]) -> None:
        """A folder holds the units of one model, plan and way of measuring."""
        if not path.is_file():
            _write(path, settings)
            return
        with _reading(path):
            there = dict(json.loads(path.read_text(encoding="utf-8")))
        for key, value in settings.items():
            if there.get(key) != value:
                raise InputError(
                    "output", expected=f"a folder measured with {key} = {value!r}",
                    got=there.get(key), hint="name another folder, or measure as before",
                )  # fmt: skip


def _reading(path: Path) -> AbstractContextManager[None]:
    return reading(
        "output", expected="a file that `sna-eval methods` wrote", got=str(path),
        hint="delete it, and it is measured anew",
    )  # fmt: skip


def _write(path: Path, value: Any) -> None:
    with writing(path):
        _replace(path, value)


def _replace(path: Path, value: Any) -> None:
    """Writes the file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        json.dump(value, file)
    written = Path(file.name)
    written.chmod(0o644)  # a temporary file is its owner's alone
    written.replace(path)
