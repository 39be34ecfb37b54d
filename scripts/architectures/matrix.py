"""What became of every architecture of the table, and the pages that say so."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from architectures.tiny import Entry, build, entries
from sna_eval.errors import InputError
from sna_eval.intervention.verification import Verified, verify

TOLERANCE = 1e-5
"""Of log-probabilities in float32."""
Status = Literal["verified", "refused", "failed"]


@dataclass(frozen=True)
class Row:
    """One architecture's result."""

    model_type: str
    architecture: str
    trait: str
    status: Status
    found_by: str = ""
    projection: str = ""
    """Path of the output projection inside a block."""
    layers: str = ""
    """Blocks with neurons, of all blocks."""
    n_experts: int = 0
    folded: float | None = None
    """Largest difference to scaled weights."""
    resumed: float | None = None
    """Largest difference of a resumed pass; `None`: full passes are run instead."""
    restored: bool | None = None
    message: str = ""
    """The refusal."""


def rows(names: Iterable[str] | None = None) -> list[Row]:
    """Builds and tries the named architectures, by default all."""
    table = entries()
    return [row(table[name]) for name in (names or table)]


def row(entry: Entry) -> Row:
    """Builds and tries one architecture."""
    model = build(entry)
    architecture = type(model).__name__
    try:
        found = verify(model)
    except InputError as refused:
        line = " ".join(str(refused).split())
        return Row(entry.name, architecture, entry.trait, "refused", message=line)
    return _row(entry, architecture, found)


def _row(entry: Entry, architecture: str, found: Verified) -> Row:
    sites = found.sites
    return Row(
        entry.name,
        architecture,
        entry.trait,
        "verified" if found.holds(TOLERANCE) else "failed",
        sites.found_by,
        sites.projection_path,
        f"{len(sites.layers)} of {sites.n_layers}",
        sites.n_experts,
        found.folded,
        found.resumed,
        found.restored,
    )


def as_json(table: Sequence[Row]) -> str:
    """The table that `sna-eval architectures` prints."""
    content: dict[str, Any] = {
        "versions": _versions(),
        "tolerance": TOLERANCE,
        "rows": [asdict(one) for one in table],
    }
    return json.dumps(content, indent=1) + "\n"


def as_markdown(table: Sequence[Row], introduction: str) -> str:
    """The page `docs/architectures.md`."""
    versions = ", ".join(f"{name} {number}" for name, number in _versions().items())
    verified = [one for one in table if one.status == "verified"]
    refused = [one for one in table if one.status != "verified"]
    lines = [
        introduction.rstrip(),
        "",
        f"{len(verified)} verified, {len(refused)} refused, with {versions}.",
        "",
        "| architecture | model type | what is tried | projection, found by | layers "
        "| folded | resumed |",
        "|---|---|---|---|---|---|---|",
        *map(_verified_line, verified),
        "",
        "| refused | model type | why |",
        "|---|---|---|",
        *(f"| {one.architecture} | {one.model_type} | {one.message} |" for one in refused),
    ]
    return "\n".join(lines) + "\n"


def _verified_line(entry: Row) -> str:
    experts = f" ({entry.n_experts} experts)" if entry.n_experts else ""
    resumed = "full passes" if entry.resumed is None else f"{entry.resumed:.1e}"
    return (
        f"| {entry.architecture} | {entry.model_type} | {entry.trait} "
        f"| `{entry.projection}`{experts}, {entry.found_by} | {entry.layers} "
        f"| {entry.folded:.1e} | {resumed} |"
    )


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("transformers", "transformer-lens", "torch")}


def write(table: Sequence[Row], *, page: Path, data: Path) -> None:
    """Writes the page, keeping what it says above its first table, and the data."""
    introduction = page.read_text(encoding="utf-8").split("<!-- generated -->")[0]
    page.write_text(as_markdown(table, introduction + "<!-- generated -->\n"), encoding="utf-8")
    data.write_text(as_json(table), encoding="utf-8")
