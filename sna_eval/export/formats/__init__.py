"""Export formats, one file each: `FORMAT`, named as its file is.

A file that is added here is a format that `sna-eval export` writes; nothing else lists them.
"""

from __future__ import annotations

from sna_eval.export.format import ExportFormat
from sna_eval.registry import lookup, registered

FORMATS: dict[str, ExportFormat] = {it.name: it for it in registered(__name__, "FORMAT")}


def find_format(name: str) -> ExportFormat:
    """A format by its name.

    **Raises:** `InputError` that lists the formats.
    """
    return lookup(FORMATS, name, field="format")
