"""Export formats, one file each: `FORMAT`, named as its file is.

A file that is added here is a format that `sna-eval export` writes; nothing else lists them.
"""

from __future__ import annotations

from sna_eval.export.format import ExportFormat
from sna_eval.registry import Registry, registered

FORMATS: Registry[ExportFormat] = Registry(registered(__name__, "FORMAT"), field="format")
