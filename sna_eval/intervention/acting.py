"""Which positions of a pass an intervention touches."""

from __future__ import annotations

import torch

from sna_eval.intervention.spec import Affine


def acting(
    intervention: Affine, position: torch.Tensor, last: torch.Tensor | int
) -> torch.Tensor | None:
    """Where an intervention acts: bool, in the shape of `position`; `None` for everywhere.

    **Arguments:**

    - `position`: each position's place in its own text, from 0, `[batch or 1, position]`.
    - `last`: place of each text's last context token, `[batch, 1]` or one for all.
    """
    if intervention.token is not None:
        return (position == intervention.token) & (position <= last)
    if intervention.positions == "all":
        return None
    return position == last if intervention.positions == "last" else position >= last
