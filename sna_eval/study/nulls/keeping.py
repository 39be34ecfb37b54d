"""The files of one task's searched null.

`settings.json` says what was searched; `claim.json` holds the test items and the claim,
`draws.jsonl` a line for every random ranking.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sna_eval.errors import reading, writing
from sna_eval.files import MIB, read_text, write_whole
from sna_eval.study.keeping import Kept
from sna_eval.study.nulls.records import Found, TestItems
from sna_eval.typed import Json, build

_LARGEST = 512 * MIB


@dataclass(frozen=True)
class Known:
    """What a folder holds."""

    items: TestItems | None = None
    claim: Found | None = None
    draws: tuple[Found, ...] = ()

    def usable(self, wanted: int, portion: int) -> list[Found]:
        """All draws, where they are those that are wanted; else those of whole portions."""
        if len(self.draws) == wanted:
            return list(self.draws)
        return list(self.draws[: len(self.draws) // portion * portion])[:wanted]


class NullFiles:
    """Reads and writes them; keeps nothing without a folder.

    **Raises:** `InputError` where the folder holds another search.
    """

    def __init__(self, folder: str | Path | None, settings: Json) -> None:
        self._folder = None if folder is None else Path(folder)
        self._kept = Kept(self._folder, settings, command="verdict")

    def read(self) -> Known:
        """What was done before."""
        kept = self._kept.read("claim")
        if kept is None or self._folder is None:
            return Known()
        path = self._folder / "draws.jsonl"
        with reading(
            "output", expected="a searched null of this version", got=str(self._folder),
            hint="delete the folder, and it is measured anew",
        ):  # fmt: skip
            items, claim = build(TestItems, kept["items"]), build(Found, kept["claim"])
            lines = read_text(path, largest=_LARGEST).splitlines() if path.is_file() else []
            draws = tuple(build(Found, json.loads(line)) for line in lines)
            if [draw.draw for draw in draws] != list(range(len(draws))):
                raise ValueError("draws are missing or out of order")
        return Known(items, claim, draws)

    def write_claim(self, items: TestItems, claim: Found) -> None:
        self._kept.write("claim", {"items": asdict(items), "claim": asdict(claim)})

    def write_draws(self, draws: Sequence[Found]) -> None:
        """All draws so far, in order."""
        if self._folder is None:
            return
        lines = "".join(json.dumps(asdict(draw)) + "\n" for draw in draws)
        path = self._folder / "draws.jsonl"
        with writing(path):
            write_whole(path, lines.encode("ascii"))
