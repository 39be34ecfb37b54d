"""Where neurons are, affine interventions on them, and the forward passes that apply them."""

from sna_eval.intervention.amplify import MaskFn, amplify
from sna_eval.intervention.decoder import base_model
from sna_eval.intervention.family import (
    Addition,
    Clamping,
    LogitScaling,
    NeuronScaling,
    OutputScaling,
    Vector,
)
from sna_eval.intervention.forward import Abilities, Assigned, BranchScore, Engine, RowScore
from sna_eval.intervention.probing import probe
from sna_eval.intervention.rows import Batch, Row
from sna_eval.intervention.sites import Sites, find_sites
from sna_eval.intervention.spec import Affine, Intervention, Positions, Unit

__all__ = [
    "Abilities",
    "Addition",
    "Affine",
    "Assigned",
    "Batch",
    "BranchScore",
    "Clamping",
    "Engine",
    "Intervention",
    "LogitScaling",
    "MaskFn",
    "NeuronScaling",
    "OutputScaling",
    "Positions",
    "Row",
    "RowScore",
    "Sites",
    "Unit",
    "Vector",
    "amplify",
    "base_model",
    "find_sites",
    "probe",
]
