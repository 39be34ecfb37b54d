"""One forward pass over rows: logits only where they are read, captured and resumed at a block.

`Engine` is the only place that calls the model to score text. What it gives is, to float rounding,
what a plain forward pass of every row on its own gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from sna_eval.intervention.amplify import amplify
from sna_eval.intervention.decoder import base_model, input_device, text_config
from sna_eval.intervention.partial_passes import captured_inputs, resumed
from sna_eval.intervention.rows import Batch
from sna_eval.intervention.shortcuts import Prefix, Shortcuts
from sna_eval.intervention.sites import Sites
from sna_eval.intervention.spec import Affine, acting


@dataclass(frozen=True)
class Abilities:
    """What a model's forward pass allows; found by trying, see `intervention.probing`."""

    resumes: bool = False
    """A pass may start at a block."""
    packs: bool = False
    """Several continuations may share one context in a row."""
    shares_prefix: bool = False
    """Rows may go on from a cache of their common beginning."""
    returns_tuple: bool = False
    """Blocks return a tuple, or a list, rather than a tensor."""


@dataclass(frozen=True)
class BranchScore:
    """Score of one continuation."""

    log_likelihood: float
    is_greedy: bool


@dataclass(frozen=True, eq=False)
class RowScore:
    """Scores of a row's continuations, in order."""

    branches: tuple[BranchScore, ...]
    log_probs: torch.Tensor
    """Next-token distribution after the context, `[vocabulary]`."""


@dataclass(frozen=True, eq=False)
class Assigned:
    """Interventions, and which rows of the batch each acts on."""

    intervention: Affine
    rows: torch.Tensor
    """Bool, `[batch]`."""


@dataclass(eq=False)
class Engine:
    """Runs batches of rows through one model."""

    model: nn.Module
    sites: Sites
    abilities: Abilities = field(default_factory=Abilities)
    shortcuts: Shortcuts = field(default_factory=Shortcuts)
    """Work that `run` and `amplified` leave out; none unless given."""
    softmax_dtype: torch.dtype | None = None
    context: Callable[[], AbstractContextManager[Any]] = nullcontext
    """Entered around every pass, e.g. autocast."""

    @property
    def device(self) -> torch.device:
        return input_device(self.model)

    def run(
        self, batch: Batch, *, capture: Sequence[int] = (), prefix: Prefix | None = None
    ) -> tuple[list[RowScore], Mapping[int, torch.Tensor]]:
        """Scores a batch with the unmodified model.

        **Arguments:**

        - `capture`: layers whose block input is wanted.
        - `prefix`: the beginning that the batch skips.

        **Returns:** the rows' scores, and `{layer: [batch, position, d_model]}`.
        """
        with captured_inputs(self.sites, capture) as captured:
            scores = self._score(batch, prefix, ())
        return scores, captured

    def amplified(
        self,
        batch: Batch,
        assigned: Sequence[Assigned],
        *,
        hidden: torch.Tensor | None = None,
        prefix: Prefix | None = None,
    ) -> list[RowScore]:
        """Scores a batch with interventions on.

        **Arguments:**

        - `assigned`: interventions with the rows they act on.
        - `hidden`: what enters the lowest layer that is intervened on, `[batch, position,
            d_model]`, from an earlier `run`; the pass resumes there. `None` runs all blocks.
        - `prefix`: the beginning that the batch skips; all interventions then act on all rows.
        """
        layer = min(entry.intervention.layer for entry in assigned)
        rows_of = {id(entry.intervention): entry.rows for entry in assigned}

        def mask(intervention: Affine, positions: int) -> torch.Tensor | None:
            return _acting(batch, rows_of[id(intervention)], intervention)

        start: AbstractContextManager[None] = nullcontext()
        if hidden is not None:
            start = resumed(self.sites, layer, hidden, returns_tuple=self.abilities.returns_tuple)
        inside = _inside(assigned)
        if prefix is not None:  # before the hooks are in: the beginning runs with its own
            self._cache(batch, prefix, inside)
        with start, amplify(self.model, inside, sites=self.sites, mask=mask):
            return self._score(batch, prefix, assigned)

    @torch.no_grad()
    def log_likelihoods(self, batch: Batch) -> torch.Tensor:
        """Log-likelihood of every continuation, `[branch]`, in the order of the batch.

        For many rows: no distribution is kept, and sums are in float32 at least. Hooks and
        resumed passes that are in force around the call apply.
        """
        with self.context(), scored_positions_only(self.model, batch) as pick:
            output = self.model(batch.input_ids, use_cache=False, **self._masks(batch))
        logits = pick(output.logits)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        reads, targets = batch.reads.to(logits.device), batch.targets.to(logits.device)
        chosen = logits[reads, targets] - torch.logsumexp(logits, dim=-1)[reads]
        return _branch_sums(chosen, batch.branch_lengths)

    @torch.no_grad()
    def slot_log_probs(self, batch: Batch, interventions: Sequence[Affine] = ()) -> torch.Tensor:
        """Log-probabilities at every scored position, `[slot, vocabulary]`, in float32 at least.

        As for `log_likelihoods`, what is in force around the call applies.

        **Arguments:**

        - `interventions`: act on all rows, beside that.
        """
        every = torch.ones(len(batch.rows), dtype=torch.bool, device=batch.device)
        assigned = [Assigned(one, every) for one in interventions if not one.changes_nothing]

        def mask(intervention: Affine, positions: int) -> torch.Tensor | None:
            return _acting(batch, every, intervention)

        with (
            self.context(),
            amplify(self.model, _inside(assigned), sites=self.sites, mask=mask),
            scored_positions_only(self.model, batch) as pick,
        ):
            output = self.model(batch.input_ids, use_cache=False, **self._masks(batch))
        logits = _rescaled(pick(output.logits), batch, assigned)
        wide = torch.promote_types(logits.dtype, torch.float32)
        return torch.log_softmax(logits, dim=-1, dtype=wide)

    @torch.no_grad()
    def _score(
        self, batch: Batch, prefix: Prefix | None, assigned: Sequence[Assigned]
    ) -> list[RowScore]:
        inside = _inside(assigned)
        cache = self._cache(batch, prefix, inside) if prefix is not None else {}
        arguments = {"use_cache": False, **cache, **self._masks(batch)}
        with (
            self.context(),
            self._shorter(batch, inside),
            scored_positions_only(self.model, batch) as pick,
        ):
            output = self.model(batch.input_ids, **arguments)
        logits = _rescaled(pick(output.logits), batch, assigned)
        log_probs = torch.log_softmax(logits, dim=-1, dtype=self.softmax_dtype)
        return _collect(batch, log_probs)

    @contextmanager
    def _shorter(self, batch: Batch, interventions: Sequence[Affine]) -> Iterator[None]:
        """The shortcuts that leave alone what the interventions act on.

        Interventions multiply rounding too: with them, kernels stay PyTorch's own.
        """
        last = self.sites.n_layers - 1
        with ExitStack() as stack:
            if not interventions:
                stack.enter_context(self.shortcuts.everywhere(self.model))
            if all(entry.layer != last for entry in interventions):
                stack.enter_context(self.shortcuts.for_batch(self.sites, batch))
            yield

    def _cache(
        self, batch: Batch, prefix: Prefix, interventions: Sequence[Affine]
    ) -> dict[str, Any]:
        """Keys and values of the skipped beginning."""
        assert batch.skip == len(prefix)
        with self.context():
            cache = prefix.cache(
                self.model, self.sites, batch=len(batch.rows), interventions=interventions
            )
        return {"past_key_values": cache, "use_cache": True}

    def _masks(self, batch: Batch) -> dict[str, Any]:
        """Attention masks and positions for rows that hold several branches."""
        if not batch.packed:
            return {}
        config = text_config(self.model)
        window = getattr(config, "sliding_window", None)
        full = self._additive(batch.visible())
        mask: Any = full
        if window is not None:
            sliding = self._additive(batch.visible(window))
            by_type = {"full_attention": full, "sliding_attention": sliding}
            mask = by_type if getattr(config, "layer_types", None) else sliding
        return {"attention_mask": mask, "position_ids": batch.position_ids}

    def _additive(self, visible: torch.Tensor) -> torch.Tensor:
        dtype = next(self.model.parameters()).dtype
        zero = torch.zeros((), dtype=dtype, device=visible.device)
        return torch.where(visible, zero, torch.finfo(dtype).min)


@contextmanager
def scored_positions_only(
    model: nn.Module, batch: Batch
) -> Iterator[Callable[[torch.Tensor], torch.Tensor]]:
    """The vocabulary projection sees the scored positions alone.

    **Yields** a function that turns the model's logits into `[slot, vocabulary]`, whether or not
    the model has a projection that could be narrowed.
    """
    head = base_model(model).get_output_embeddings()  # type: ignore[operator]

    def narrow(module: nn.Module, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        hidden = args[0]  # [batch, position, d_model]
        slots = (batch.slot_rows.to(hidden.device), batch.slot_positions.to(hidden.device))
        return (hidden[slots].unsqueeze(0), *args[1:])

    def pick(logits: torch.Tensor) -> torch.Tensor:
        if head is not None:
            return logits[0]
        return logits[batch.slot_rows, batch.slot_positions]

    handle = head.register_forward_pre_hook(narrow) if head is not None else None
    try:
        yield pick
    finally:
        if handle is not None:
            handle.remove()


def _inside(assigned: Sequence[Assigned]) -> list[Affine]:
    """Interventions on what happens inside the model; those on its logits come after the pass."""
    given = [entry.intervention for entry in assigned]
    return [intervention for intervention in given if intervention.site != "logits"]


def _rescaled(logits: torch.Tensor, batch: Batch, assigned: Sequence[Assigned]) -> torch.Tensor:
    """Logits, `[slot, vocabulary]`, with the interventions on them."""
    for entry in assigned:
        if entry.intervention.site == "logits":
            where = entry.rows[batch.slot_rows].to(logits.device).unsqueeze(1)
            logits = torch.where(where, entry.intervention.transform(logits), logits)
    return logits


def _acting(batch: Batch, rows: torch.Tensor, intervention: Affine) -> torch.Tensor | None:
    """Where an intervention acts: bool, broadcasting to `[batch, position]`; `None` everywhere."""
    position = torch.arange(batch.width, device=batch.device).unsqueeze(0) + batch.skip
    touched = acting(intervention, position, batch.last_context + batch.skip)
    if touched is None:
        return None if bool(rows.all()) else rows.unsqueeze(1)
    return rows.unsqueeze(1) & touched


def _branch_sums(values: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
    """Sums of consecutive stretches of `values`, `[sum of lengths]` to `[branch]`."""
    longest = max(lengths)
    if longest == 1:
        return values
    inside = torch.arange(longest).unsqueeze(0) < torch.tensor(lengths).unsqueeze(1)
    table = values.new_zeros(len(lengths), longest)
    table[inside.to(values.device)] = values
    return table.sum(dim=-1)


def _collect(batch: Batch, log_probs: torch.Tensor) -> list[RowScore]:
    """From `[slot, vocabulary]` to a score per branch of every row."""
    log_probs = log_probs.to(batch.reads.device)
    chosen = log_probs[batch.reads, batch.targets].split(batch.branch_lengths)
    greedy = (log_probs.argmax(dim=-1)[batch.reads] == batch.targets).split(batch.branch_lengths)
    sums = torch.stack([part.sum() for part in chosen]).tolist()
    hits = torch.stack([part.all() for part in greedy]).tolist()
    branches = iter([BranchScore(*pair) for pair in zip(sums, hits, strict=True)])
    return [
        RowScore(tuple(next(branches) for _ in row.branches), log_probs[first])
        for row, first in zip(batch.rows, batch.first_slots, strict=True)
    ]
