"""What reads files from outside, as a test sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.hostile.fuzz import Seed

Files = Mapping[str, bytes]
"""Content by path in a folder."""
TASK = "sna_math_easy"


@dataclass(frozen=True)
class Loader:
    """Reads one file of a folder; the others stay as they should be."""

    target: str
    """The file that is damaged."""
    seeds: Callable[[], list[Seed]]
    """What it may hold."""
    load: Callable[[Path], Any]
    """Reads the folder."""
    beside: Callable[[], Files] = dict
    """The other files."""

    def lay_out(self, folder: Path) -> Path:
        """Writes the other files; returns where the damaged one belongs."""
        for name, content in self.beside().items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        (folder / self.target).parent.mkdir(parents=True, exist_ok=True)
        return folder / self.target
