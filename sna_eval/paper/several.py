"""Published figures beside those of several models, each with its placebo's and its verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sna_eval.errors import InputError, reading, writing
from sna_eval.files import read_json, write_whole_json
from sna_eval.paper.claims import markdown_table
from sna_eval.paper.rules import Claim
from sna_eval.typed import build

FILE = "claims.json"


@dataclass(frozen=True)
class Reproduced:
    """One run of the protocol."""

    model: str
    command: str
    """As it was typed, without its folder."""
    claims: tuple[Claim, ...]

    def save(self, folder: Path) -> None:
        """Writes its file."""
        with writing(folder / FILE):
            write_whole_json(folder / FILE, asdict(self), indent=1)


def load_reproduced(folder: str | Path) -> Reproduced:
    """A run, from its folder.

    **Raises:** `InputError` for a folder without one.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        raise InputError(
            "beside", expected=f"a folder that `sna-eval reproduce` wrote, with {FILE}",
            got=str(folder),
        )  # fmt: skip
    with reading(str(path), expected="what `sna-eval reproduce` wrote", got=FILE):
        return build(Reproduced, read_json(path))


def side_by_side(runs: Sequence[Reproduced]) -> str:
    """A table with a column for each run, rows in the first one's order."""
    first, *others = runs
    known = [{claim.statement: claim for claim in run.claims} for run in others]
    headings = ("statement", "published", *(Path(run.model).name for run in runs))
    rows = [
        (
            claim.statement,
            claim.published,
            _cell(claim),
            *(_cell(of_run.get(claim.statement)) for of_run in known),
        )
        for claim in first.claims
    ]
    return markdown_table([headings, *rows])


def _cell(claim: Claim | None) -> str:
    if claim is None:
        return "not run"
    placebo = f"; placebo {claim.placebo}" if claim.placebo else ""
    return f"{claim.measured}{placebo}: **{claim.verdict}**"
