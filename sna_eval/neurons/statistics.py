"""Mean activations over prompts, streamed: memory does not grow with the number of prompts.

All wanted layers are summed in one pass, which ends at the last of them. Padding never counts. Nor,
unless it is asked for, does position 0, where many models carry activations far larger than at any
other token, whatever the text says: attention sinks (Xiao et al. 2023, arXiv:2309.17453) and the
massive activations they rest on (Sun et al. 2024, arXiv:2402.17762). A difference of means does not
cancel them: a prompt has one first token however long it is, so in shorter prompts it weighs more.

Whoever waits is told how many prompts were read (`Progress`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from tqdm import tqdm

from sna_eval.intervention import Sites
from sna_eval.intervention.amplify import whole_layer
from sna_eval.intervention.decoder import in_float64, input_device
from sna_eval.intervention.partial_passes import run_to
from sna_eval.intervention.rows import right_padded

Pooling = Literal["mean", "last"]
"""`mean` over all tokens of the prompts (default), or the `last` token of each."""
Sinks = Literal["drop", "keep"]
"""Whether position 0 of a prompt is left out (`drop`, the default) or counts (`keep`)."""

TokenRow = Sequence[int]
"""Token ids of one prompt."""

TOKENS_PER_PASS = {"cpu": 1024}
"""Tokens in one pass by kind of device: on a CPU few enough for its caches."""
_TOKENS_ON_ACCELERATOR = 16384


class Progress:
    """Told of prompts; this one keeps it to itself."""

    def expect(self, prompts: int) -> None:
        """So many further prompts will be read than was said before."""

    def read(self, prompts: int) -> None:
        """So many further prompts were read."""


SILENT = Progress()


class SearchBar(Progress):
    """A progress bar over the prompts of all tasks, which names the task that is searched for.

    It stands there once there is something to read: what is kept needs none.
    """

    def __init__(self, *, quiet: bool, task: str = "", leave: bool = True) -> None:
        self._quiet, self._task, self._leave = quiet, task, leave
        self._bar: Any = None

    def name(self, task: str) -> None:
        self._task = task
        if self._bar is not None:
            self._bar.set_postfix_str(task)

    def expect(self, prompts: int) -> None:
        if self._bar is None and prompts:
            self._bar = tqdm(
                total=0, desc="Searching neurons", unit=" prompts", disable=self._quiet,
                postfix=self._task, leave=self._leave,
            )  # fmt: skip
        if prompts:
            self._bar.total += prompts
            self._bar.refresh()

    def read(self, prompts: int) -> None:
        if self._bar is not None:
            self._bar.update(prompts)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


@dataclass(frozen=True, eq=False)
class Sums:
    """Activations of some prompts, summed over the tokens that count."""

    layers: dict[int, torch.Tensor]
    """`{layer: [d_mlp]}`, float64, on the CPU."""
    squares: dict[int, torch.Tensor]
    """Sums of their squares, the same way."""
    tokens: int
    """How many were summed."""

    def __add__(self, other: Sums) -> Sums:
        layers = {layer: sums + other.layers[layer] for layer, sums in self.layers.items()}
        squares = {layer: sums + other.squares[layer] for layer, sums in self.squares.items()}
        return Sums(layers, squares, self.tokens + other.tokens)

    def means(self) -> dict[int, torch.Tensor]:
        """`{layer: [d_mlp]}`."""
        return {layer: sums / self.tokens for layer, sums in self.layers.items()}

    def root_mean_squares(self) -> dict[int, torch.Tensor]:
        """`{layer: [d_mlp]}`."""
        return {layer: (sums / self.tokens).sqrt() for layer, sums in self.squares.items()}


def mean_activations(
    model: nn.Module,
    sites: Sites,
    rows: Sequence[TokenRow],
    *,
    layers: Sequence[int],
    pooling: Pooling = "mean",
    sinks: Sinks = "drop",
    tokens_per_pass: int | None = None,
) -> dict[int, torch.Tensor]:
    """Mean activation of every neuron of the given layers; of heads, the mean of its norm.

    **Arguments:**

    - `rows`: tokenized prompts, none empty. A prompt of one token has nothing but position 0: it is
        left out beside longer ones, and where all are so, position 0 counts (`settled_sinks`).
    - `layers`: block indices.
    - `pooling`: which tokens of a prompt count.
    - `sinks`: whether position 0 is among them.
    - `tokens_per_pass`: `None` goes by the kind of device; the result does not depend on it.

    **Returns:** `{layer: [d_mlp]}` in float64, on the CPU.
    """
    if not rows:
        raise ValueError("mean activations need at least one prompt")
    (sums,) = summed_activations(
        model, sites, rows, [0] * len(rows), layers=layers, pooling=pooling,
        sinks=settled_sinks(sinks, [rows]), tokens_per_pass=tokens_per_pass,
    ).values()  # fmt: skip
    return sums.means()


def settled_sinks(asked: Sinks, groups: Sequence[Sequence[TokenRow]]) -> Sinks:
    """`keep` where a group of prompts has nothing but position 0: what is compared with it then
    counts it as well."""
    only_first = (all(len(row) == 1 for row in rows) for rows in groups)
    return "keep" if any(only_first) else asked


def summed_activations(
    model: nn.Module,
    sites: Sites,
    rows: Sequence[TokenRow],
    groups: Sequence[int],
    *,
    layers: Sequence[int],
    pooling: Pooling,
    sinks: Sinks,
    tokens_per_pass: int | None = None,
    progress: Progress = SILENT,
) -> dict[int, Sums]:
    """Activations summed by group, from one pass over all prompts.

    **Arguments:**

    - `groups`: the group of each row.

    **Returns:** the sums of every group, by its number, lowest first.
    """
    device = input_device(model)
    room = tokens_per_pass or tokens_at_once(device)
    summed = {group: _Running(sites) for group in sorted(set(groups))}
    for places in batches(rows, room):
        batch = [rows[place] for place in places]
        counted = {
            group: _counted(batch, [groups[place] == group for place in places], pooling, sinks)
            for group in summed
        }

        def see(
            layer: int, activations: torch.Tensor, counted: dict[int, torch.Tensor] = counted
        ) -> None:
            flat = sites.strengths(activations.reshape(-1, activations.shape[-1]))
            for group, chosen in counted.items():
                summed[group].add(layer, flat, chosen)

        run_to(model, sites, layers, right_padded(batch).to(device), see)
        for group, chosen in counted.items():
            summed[group].tokens += len(chosen)
        progress.read(len(places))
    return {group: sums.sums(layers) for group, sums in summed.items()}


class _Running:
    """One group's sums as they grow, each on the device of its layer."""

    def __init__(self, sites: Sites) -> None:
        self._sites = sites
        self._layers: dict[int, torch.Tensor] = {}
        self._squares: dict[int, torch.Tensor] = {}
        self.tokens = 0

    def add(self, layer: int, activations: torch.Tensor, chosen: torch.Tensor) -> None:
        """
        **Arguments:**

        - `activations`: of one batch, `[token, neurons]`; padding included.
        - `chosen`: the tokens that count, `[chosen]`.
        """
        if len(chosen):
            counted = in_float64(activations[chosen.to(activations.device)])
            for table, values in ((self._layers, counted), (self._squares, counted.square())):
                added, before = values.sum(dim=0), table.get(layer)
                table[layer] = added if before is None else before + added

    def sums(self, layers: Sequence[int]) -> Sums:
        return Sums(
            self._whole(self._layers, layers), self._whole(self._squares, layers), self.tokens
        )

    def _whole(
        self, table: dict[int, torch.Tensor], layers: Sequence[int]
    ) -> dict[int, torch.Tensor]:
        sites = self._sites
        nothing = torch.zeros(sites.n_units, dtype=torch.float64)
        return {
            layer: whole_layer(sites.projections[layer], table[layer], sites.channels).cpu()
            if layer in table
            else nothing
            for layer in layers
        }


def tokens_at_once(device: torch.device) -> int:
    """Tokens in one pass, by kind of device."""
    return TOKENS_PER_PASS.get(device.type, _TOKENS_ON_ACCELERATOR)


def batches(rows: Sequence[TokenRow], room: int) -> Iterator[list[int]]:
    """Places of rows of like length, longest first: at most `room` tokens together, or one row."""
    ordered = sorted(range(len(rows)), key=lambda place: -len(rows[place]))
    start = 0
    while start < len(ordered):
        size = max(1, room // len(rows[ordered[start]]))
        yield ordered[start : start + size]
        start += size


def _counted(
    rows: Sequence[TokenRow], members: Sequence[bool], pooling: Pooling, sinks: Sinks
) -> torch.Tensor:
    """Which tokens of right-padded rows count: places in `[batch * position]`, flattened.

    **Arguments:**

    - `members`: whether a row belongs to the group in question.
    """
    width = max(map(len, rows))
    first = 1 if sinks == "drop" else 0
    places = [
        number * width + position
        for number, row in enumerate(rows)
        if members[number]
        for position in range(first if pooling == "mean" else max(first, len(row) - 1), len(row))
    ]
    return torch.tensor(places, dtype=torch.long)
