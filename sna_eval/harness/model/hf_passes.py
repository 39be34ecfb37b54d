"""Scores and texts of a model in this process: the seam's implementation for `--model sna`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from lm_eval.models.huggingface import HFLM

from sna_eval.harness.bars import writing_bar
from sna_eval.harness.model.generation import GatedGeneration
from sna_eval.harness.model.row_passes import RowPasses
from sna_eval.harness.plugin.ranks import on_its_own
from sna_eval.harness.plugin.stand_in import generated
from sna_eval.harness.scoring.ledger import Ledger
from sna_eval.harness.scoring.passes import (
    Decide,
    DecideText,
    Generated,
    PlannedItem,
    Scores,
    Told,
    tell_nobody,
)
from sna_eval.harness.tasks.items import Item, check_length
from sna_eval.intervention import Affine, Batch, BranchScore, Engine, Row, amplify
from sna_eval.plan import TaskPlan, plain_interventions


class HFPasses:
    """Passes of a loaded HFLM, by its own code wherever the model is unmodified.

    **Arguments:**

    - `engine`: finds it, with the shortcuts that scoring may take; asked for when first needed, as
        trying a model out takes passes.
    - `generating`: the same without shortcuts.
    - `strict`: whether baseline scores come from HFLM's own code.
    - `every_step`: whether generated texts are decided on anew at every step.
    - `both`: whether the unmodified model's texts are generated beside the amplified ones.
    """

    def __init__(
        self,
        lm: HFLM,
        *,
        engine: Callable[[], Engine],
        generating: Callable[[], Engine],
        ledger: Ledger,
        strict: bool,
        every_step: bool,
        both: bool,
    ) -> None:
        self._lm, self._ledger = lm, ledger
        self._engine, self._generating = engine, generating
        self._strict, self._every_step, self._both = strict, every_step, both

    def scores(
        self, asked: Sequence[PlannedItem], decide: Decide, *, quiet: bool = False
    ) -> Iterator[tuple[int, Scores]]:
        items = [entry.item for entry in asked]
        passes = RowPasses(
            self._engine(), self._rows_per_batch, self._lm.max_length, self._ledger,
            self._strict_baseline(items, quiet) if self._strict else None,
        )  # fmt: skip
        return passes.scores(asked, decide, quiet=quiet)

    def rolling(
        self, requests: Sequence[Any], interventions: tuple[Affine, ...] = (), *, quiet: bool
    ) -> list[float]:
        acting: AbstractContextManager[Any] = nullcontext()
        if interventions:
            acting = amplify(self._lm.model, interventions, sites=self._generating().sites)
        with on_its_own(self._lm), acting:
            return HFLM.loglikelihood_rolling(self._lm, list(requests), disable_tqdm=quiet)

    def texts(
        self, requests: Sequence[Any], *, quiet: bool, told: Told[Generated] = tell_nobody
    ) -> list[str]:
        with on_its_own(self._lm), writing_bar(len(requests)) as bar:

            def written(request: Any, text: str) -> None:
                told(request, Generated(text))
                bar.update()

            return generated(self._lm, requests, quiet=quiet, told=written)

    def gated_texts(
        self,
        requests: Sequence[Any],
        plan: TaskPlan,
        decide: DecideText,
        *,
        quiet: bool,
        told: Told[Generated] = tell_nobody,
    ) -> list[Generated]:
        run = GatedGeneration(
            self._lm, self._generating(), plan, decide,
            every_step=self._every_step, both=self._both,
        )  # fmt: skip
        with on_its_own(self._lm), writing_bar(len(requests)) as bar:

            def written(request: Any, text: Generated) -> None:
                told(request, text)
                bar.update()

            return run.run(requests, quiet=quiet, told=written)

    def _strict_baseline(
        self, items: Sequence[Item], quiet: bool
    ) -> Callable[[Item], tuple[BranchScore, ...]]:
        """HFLM's own scores of all requests, by item."""
        for item in items:
            check_length(item, self._lm.max_length)
        requests = [
            ((request.context_text, request.continuation_text),
             list(request.context), list(request.continuation))
            for item in items
            for request in item.requests
        ]  # fmt: skip
        scores = iter(HFLM._loglikelihood_tokens(self._lm, requests, quiet))
        table = {
            id(item): tuple(BranchScore(*next(scores)) for _ in item.requests) for item in items
        }
        return lambda item: table[id(item)]

    def _rows_per_batch(self, rows: Sequence[Row]) -> int:
        """HFLM's batch size; `auto` is found with the longest row."""
        lm = self._lm
        if lm.batch_size != "auto":
            return int(lm.batch_size)
        with on_its_own(lm):
            size = lm._detect_batch_size([(None, list(rows[0].tokens), [0])], 0)
        lm.batch_sizes[0] = size
        return int(size)


def divergences_along(
    lm: HFLM, engine: Engine, contexts: Sequence[str], texts: Sequence[str], plan: TaskPlan
) -> list[float | None]:
    """Mean `KL(unmodified || amplified)` of the next token along amplified texts, in nats.

    Both models read the same context and text, which the tokenizer reads anew; `None` for a text
    without a token. A text a pass: distributions over the vocabulary take the memory.
    """
    interventions = plain_interventions(plan)
    found: list[float | None] = []
    for context, text in zip(contexts, texts, strict=True):
        behind = tuple(lm.tok_encode(text, add_special_tokens=False))[: lm.max_length]
        before = tuple(lm.tok_encode(context))[-max(1, lm.max_length + 1 - len(behind)) :]
        if not before or not behind:
            found.append(None)
            continue
        batch = Batch([Row(before, (behind,))], engine.device)
        unmodified = engine.slot_log_probs(batch)
        amplified = engine.slot_log_probs(batch, interventions)
        apart = unmodified.exp() * (unmodified - amplified)
        kl = apart.masked_fill(unmodified.isinf(), 0.0).sum(dim=-1)  # what is never said counts 0
        found.append(float(kl.mean()))
    return found
