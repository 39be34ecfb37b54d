"""Instructions whose answers rules can check: the metrics of the task `sna_instruct`."""

from sna_eval.harness.instructions.metrics import KINDS, instruction_results
from sna_eval.harness.instructions.rules import RULES, Asked, is_followed

__all__ = ["KINDS", "RULES", "Asked", "instruction_results", "is_followed"]
