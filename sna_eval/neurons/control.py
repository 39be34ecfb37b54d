"""Random neurons that are like the chosen ones in all but the choice: the null of every result.

Neurons differ widely in how far they push: scaling one moves the stream by its activation times
what it writes, whatever it stands for. So each control neuron is drawn from those whose
`rms(a_n) * |w_n|` on the task's prompts comes closest to that of the chosen neuron it stands in
for. The mean activation is no measure of that: it leaves out how much the activation varies and how
long the neuron's output column is.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping

import torch

from sna_eval.errors import InputError
from sna_eval.neurons.ranking import Selected

CANDIDATES = 20
"""How many of the nearest neurons each draw is made from."""


def matched_random(
    push: torch.Tensor,
    chosen: Selected,
    *,
    seed: int,
    candidates: int = CANDIDATES,
    left_out: Collection[int] = (),
) -> Selected:
    """Draws one neuron for each chosen one, matched in push, none of them chosen.

    The first `k` drawn depend on the first `k` chosen and the later ones only through being left
    out, so sets of growing size stay nested as the chosen ones are.

    **Arguments:**

    - `push`: how far each neuron moves the stream, `[d_mlp]`, see `Observed.push`.
    - `chosen`: the neurons to stand in for, best first.
    - `seed`: a seed gives the same draw at every call.
    - `candidates`: nearest neurons that each draw is made from; fewer where the layer has fewer.
    - `left_out`: neurons that are not drawn either.

    **Returns:** as many neurons as were chosen, each with its push as its score.

    **Raises:** `InputError` where the layer has not as many neurons again.
    """
    room = push.numel() - len(left_out)
    if 2 * len(chosen.neurons) > room:
        raise InputError(
            "top_k", expected=f"at most {room // 2} neurons, to draw as many again",
            got=len(chosen.neurons),
        )  # fmt: skip
    taken = torch.zeros(push.numel(), dtype=torch.bool)
    taken[[*chosen.neurons, *left_out]] = True
    generator = random.Random(seed)
    drawn: list[int] = []
    for neuron in chosen.neurons:
        distance = (push - push[neuron]).abs().masked_fill(taken, torch.inf)
        free = int((~taken).sum())
        nearest = torch.argsort(distance, stable=True)[: min(candidates, free)].tolist()
        drawn.append(generator.choice(nearest))
        taken[drawn[-1]] = True
    return Selected(tuple(drawn), tuple(float(push[neuron]) for neuron in drawn))


def stand_ins(
    push: torch.Tensor,
    chosen: Mapping[str, Selected],
    *,
    seed: int,
    left_out: Collection[int] = (),
) -> dict[str, Selected]:
    """One draw: a neuron for each chosen one, matched in push.

    The sets of several labels share no neuron, and none with any chosen one.

    **Arguments:**

    - `push`: how far each neuron moves the stream, `[d_mlp]`.
    - `chosen`: the neurons to stand in for, by label.
    - `left_out`: neurons that are not drawn either.

    **Raises:** `InputError` where the layer has not as many neurons again.
    """
    every = [neuron for selected in chosen.values() for neuron in selected.neurons]
    room = push.numel() - len(left_out)
    if 2 * len(every) > room:
        raise InputError(
            "select.top_k",
            expected=f"at most {room // 2} neurons in all, to draw as many again",
            got=len(every),
        )
    standing = Selected(tuple(every), (0.0,) * len(every))
    drawn = matched_random(push, standing, seed=seed, left_out=left_out)
    parts, start = {}, 0
    for label, selected in chosen.items():
        place = slice(start, start + len(selected.neurons))
        parts[label] = Selected(drawn.neurons[place], drawn.scores[place])
        start += len(selected.neurons)
    return parts
