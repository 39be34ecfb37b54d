"""All methods beside one another: the same tasks, gate, scoring and items."""

from sna_eval.study.methods.options import MethodsOptions
from sna_eval.study.methods.running import measure_methods
from sna_eval.study.methods.table import MethodRow, MethodTable
from sna_eval.study.methods.variants import Variant, parse_variants

__all__ = [
    "MethodRow",
    "MethodTable",
    "MethodsOptions",
    "Variant",
    "measure_methods",
    "parse_variants",
]
