"""Instructions whose answers rules can check: the metrics of the task `sna_instruct`."""

from sna_eval.harness.instructions.metrics import KINDS, instruction_results
from sna_eval.harness.instructions.rules import RULES, Requirement, is_followed

__all__ = ["KINDS", "RULES", "Requirement", "instruction_results", "is_followed"]
