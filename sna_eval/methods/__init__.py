"""Ways to turn prompts into interventions, one file each, all resolved the same way."""

from sna_eval.methods.resolution import Examples, Resolution, Workbench
from sna_eval.methods.sna import find_contrastive, find_differential

__all__ = ["Examples", "Resolution", "Workbench", "find_contrastive", "find_differential"]
