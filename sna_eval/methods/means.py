"""Mean activations on a task's prompts: what neurons are ranked by."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sna_eval.methods.resolution import Workbench
from sna_eval.neurons import Pooling, mean_activations


def task_means(
    bench: Workbench, prompts: Sequence[str], layer: int, pooling: Pooling
) -> torch.Tensor:
    """Mean activation of a layer's neurons on prompts, `[d_mlp]`."""
    return mean_activations(
        bench.model,
        bench.sites,
        bench.rows(prompts),
        layers=[layer],
        pooling=pooling,
        batch_size=bench.batch_size,
    )[layer]
