"""Where neurons are, and affine interventions on them. Knows torch, transformers, TransformerLens."""

from sna_eval.intervention.amplify import MaskFn, amplify
from sna_eval.intervention.forward import Abilities, Assigned, BranchScore, Engine, RowScore
from sna_eval.intervention.probing import probe
from sna_eval.intervention.rows import Batch, Row
from sna_eval.intervention.sites import Sites, base_model, find_sites
from sna_eval.intervention.spec import Intervention, Positions

__all__ = [
    "Abilities",
    "Assigned",
    "Batch",
    "BranchScore",
    "Engine",
    "Intervention",
    "MaskFn",
    "Positions",
    "Row",
    "RowScore",
    "Sites",
    "amplify",
    "base_model",
    "find_sites",
    "probe",
]
