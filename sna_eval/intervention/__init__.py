"""Where neurons are, and affine interventions on them. Knows torch, transformers, TransformerLens."""

from sna_eval.intervention.amplify import MaskFn, amplify
from sna_eval.intervention.sites import Sites, base_model, find_sites
from sna_eval.intervention.spec import Intervention, Positions

__all__ = [
    "Intervention",
    "MaskFn",
    "Positions",
    "Sites",
    "amplify",
    "base_model",
    "find_sites",
]
