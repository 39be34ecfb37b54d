"""Control: the very neurons and factor of `sna`, on every item. A plan's gate counts for nothing.

What amplification does without the gate says what the gate is worth.
"""

from __future__ import annotations

from sna_eval.methods.method import Method
from sna_eval.methods.sna import find

METHOD = Method("ungated", find)
