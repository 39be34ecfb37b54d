"""A plan's amplification in formats that other engines serve: IA3, LoRA, a scaled checkpoint.

An export holds what is done to the neurons, not when: the gate stays with whoever sends requests
(`docs/serving.md`).
"""

from sna_eval.export.importing import import_ia3
from sna_eval.export.record import RECORD_NAME, read_record
from sna_eval.export.scaling import LayerScaling, layer_scalings
from sna_eval.export.source import Source
from sna_eval.export.writing import Format, export_plan

__all__ = [
    "RECORD_NAME",
    "Format",
    "LayerScaling",
    "Source",
    "export_plan",
    "import_ia3",
    "layer_scalings",
    "read_record",
]
