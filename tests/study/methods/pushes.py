"""How far interventions push a model, by plain passes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch

from sna_eval.intervention import Affine, amplify


def mean_push(lm: Any, prompts: Iterable[Sequence[int]], acting: Sequence[Affine]) -> float:
    """Mean `KL(base || changed)` of the next token behind prompts of tokens, in nats."""
    kls = []
    for prompt in prompts:
        ids = torch.tensor([list(prompt)])
        with torch.no_grad():
            base = lm.model(ids).logits[0, -1].double().log_softmax(-1)
            with amplify(lm.model, acting, sites=lm.sites):
                changed = lm.model(ids).logits[0, -1].double().log_softmax(-1)
        kls.append(float((base.exp() * (base - changed)).sum()))
    return float(np.mean(kls))
