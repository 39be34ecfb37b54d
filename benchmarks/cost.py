"""What an evaluation costs before it runs: operations, seconds and memory, from sizes alone.

Counted are the matrix products of blocks, attention and vocabulary projection, at two operations a
multiplication, as profilers count them; the layout of scored texts is that of
`sna_eval.harness.model.row_passes`. Norms, activations, tokenizing and Python stay out, so a small
model takes longer than this says.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelSize:
    """Sizes of a decoder."""

    layers: int
    d_model: int
    d_mlp: int
    vocabulary: int
    keys: int
    """Width of a token's keys in one layer; the values' is the same. `d_model` without grouping."""
    gated: bool = True
    """Whether the MLP has a gate beside its two projections."""
    bytes_per_weight: float = 2.0

    @property
    def block(self) -> int:
        """Weights of one block's matrices: queries, keys, values, output; MLP."""
        attention = 2 * self.d_model * (self.d_model + self.keys)
        return attention + (3 if self.gated else 2) * self.d_model * self.d_mlp

    @property
    def weight_bytes(self) -> float:
        """Of all weights; embedding and vocabulary projection counted apart."""
        matrices = self.layers * self.block + 2 * self.vocabulary * self.d_model
        return matrices * self.bytes_per_weight


@dataclass(frozen=True)
class Work:
    """A task's documents, each as one row on average, and what a plan does to them."""

    documents: int
    tokens: int
    """Read per document: the context once, and every choice without its last token."""
    scored: int
    """Positions per document whose next token is predicted."""
    open_share: float = 0.0
    """Share of documents whose gate opens."""
    layer: int = 0
    """Lowest layer that is amplified."""
    new_tokens: int = 0
    """Generated per document."""


@dataclass(frozen=True)
class Machine:
    """One copy of the model: a device, or several that hold it together."""

    flops: float
    """Operations a second that prompts are read at; measure it with one short run."""
    bandwidth: float
    """Bytes a second that weights are read at."""
    copies: int = 1
    """Copies of the model among which documents are divided."""


def baseline_flops(size: ModelSize, work: Work) -> float:
    """Operations of the unmodified pass: `N * (L * block(T) + head)`."""
    return work.documents * (size.layers * _block(size, work.tokens) + _head(size, work.scored))


def amplified_flops(size: ModelSize, work: Work) -> float:
    """Operations of open rows, resumed at layer `l`: `N * open * ((L - l) * block(T) + head)`."""
    above = (size.layers - work.layer) * _block(size, work.tokens)
    return work.documents * work.open_share * (above + _head(size, work.scored))


def search_flops(size: ModelSize, *, prompts: int, tokens: int) -> float:
    """Operations of finding neurons: one pass over prompts of so many tokens, without the head.

    Development prompts are read once, up to the last wanted layer; neutral text once per model.
    Found neurons are kept, so this is spent once per model, task and method.
    """
    return prompts * size.layers * _block(size, tokens)


def sweep_flops(size: ModelSize, work: Work, *, layers: int, configurations: int) -> float:
    """Operations of a sweep over evenly spread layers, so many configurations in each.

    Every document is amplified by every configuration, behind its layer: half of the blocks on
    average.
    """
    each = size.layers / 2 * _block(size, work.tokens) + _head(size, work.scored)
    return baseline_flops(size, work) + work.documents * layers * configurations * each


def decoding_seconds(size: ModelSize, work: Work, machine: Machine, *, batch: int) -> float:
    """Seconds of generating: every step reads all weights once for a batch.

    Open and closed rows decode together, so the share of open gates does not count.
    """
    steps = work.new_tokens * -(-work.documents // (batch * machine.copies))
    return steps * size.weight_bytes / machine.bandwidth


def scoring_seconds(size: ModelSize, work: Work, machine: Machine) -> float:
    """Seconds of both answers to all documents."""
    flops = baseline_flops(size, work) + amplified_flops(size, work)
    return flops / (machine.flops * machine.copies)


def scoring_bytes(size: ModelSize, work: Work, *, batch: int) -> float:
    """Memory of scoring, weights apart: one block at work, open rows that wait, log-probabilities.

    At work are, for every token, the stream and its norm, queries, keys and values before and after
    they are turned by position, and the MLP's hidden layer; allocators keep what attention took
    while the MLP runs. Of rows that may open, what enters the amplified layer is held three times
    at most: as captured, as it waits for a full batch, and in that batch.
    """
    tokens, width = batch * work.tokens, size.bytes_per_weight
    at_work = tokens * (12 * size.d_model + (3 if size.gated else 2) * size.d_mlp) * width
    waiting = (3 * tokens * size.d_model * width) if work.open_share else 0.0
    log_probabilities = 2 * batch * work.scored * size.vocabulary * 4
    return at_work + waiting + log_probabilities


def cache_bytes(size: ModelSize, work: Work, *, batch: int) -> float:
    """Memory of keys and values while generating; open prompts are held twice at first."""
    tokens = batch * ((1 + work.open_share) * work.tokens + work.new_tokens)
    return 2 * size.layers * size.keys * tokens * size.bytes_per_weight


def _block(size: ModelSize, tokens: int) -> float:
    """One block's operations on one row: its matrices, and every position looking at every one."""
    return 2.0 * size.block * tokens + 4.0 * tokens**2 * size.d_model


def _head(size: ModelSize, scored: int) -> float:
    return 2.0 * size.d_model * size.vocabulary * scored
