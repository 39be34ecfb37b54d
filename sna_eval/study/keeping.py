"""What a long measurement has done so far, in a folder: it is taken up where it was stopped.

Each value is a JSON file, written whole or not at all. A folder holds the values of one way of
measuring; its settings lie beside them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sna_eval.errors import InputError, reading, writing
from sna_eval.files import read_json, write_whole_json
from sna_eval.study.same_settings import check_same
from sna_eval.typed import Json

Settings = Json


class Kept:
    """Values by name; keeps nothing without a folder.

    **Arguments:**

    - `folder`: where values lie.
    - `settings`: what must be the same for values to belong together.
    - `file`: where the settings lie; default: in the folder.
    - `command`: what wrote the folder, for messages.
    - `as_today`: brings settings of older versions into today's form.

    **Raises:** `InputError` where the folder holds values of other settings.
    """

    def __init__(
        self,
        folder: Path | None,
        settings: Settings,
        *,
        command: str,
        file: Path | None = None,
        as_today: Callable[[Settings], Settings] = dict,
    ) -> None:
        self._folder, self._command = folder, command
        if folder is not None:
            self._check(file or folder / "settings.json", settings, as_today)

    def read(self, name: str, build: Callable[[Any], Any] = lambda raw: raw) -> Any | None:
        """A value, if it was kept before.

        **Arguments:**

        - `build`: makes of the JSON what is wanted.
        """
        if self._folder is None or not (path := self._path(name)).is_file():
            return None
        with self._reading(path):
            return build(read_json(path))

    def write(self, name: str, value: Any) -> None:
        if self._folder is not None:
            _write(self._path(name), value)

    def check_items(self, name: str, kept: str, now: str) -> None:
        """Raises `InputError` where a value was measured on other items than there are now.

        **Arguments:**

        - `kept`, `now`: hashes of the items; `kept` is empty where none was written yet.
        """
        if kept and kept != now:
            raise InputError(
                "output", expected=f"values of {name} on its items as they are now",
                got=str(self._path(name)),
                hint="the task has changed since; delete the file, or name another folder",
            )  # fmt: skip

    def _path(self, name: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{quote(name, safe='')}.json"

    def _check(
        self, path: Path, settings: Settings, as_today: Callable[[Settings], Settings]
    ) -> None:
        ours = json.loads(json.dumps(settings))
        if not path.is_file():
            _write(path, ours)
            return
        with self._reading(path):
            there = as_today(read_json(path))
            known = {key: there.get(key) for key in ours}  # others are an older version's
        check_same(known, ours, where=path.parent)

    def _reading(self, path: Path) -> AbstractContextManager[None]:
        return reading(
            "output", expected=f"a file that `sna-eval {self._command}` wrote", got=str(path),
            hint="delete it, and it is measured anew",
        )  # fmt: skip


def _write(path: Path, value: Any) -> None:
    with writing(path):
        write_whole_json(path, value)
