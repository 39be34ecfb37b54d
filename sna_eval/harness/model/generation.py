"""Gated amplification in generation: decided per request at the first new token, then held.

(`decide_at=every_step` decides anew at each: `harness.model.every_step`.)

The prompt pass of the unmodified model yields the first token's distribution and, with it, the
decision. The open rows then go on from the lowest intervened layer with the interventions on. Where
both texts are wanted, they are copies behind the unmodified rows, and one batch decodes both;
else their first token, keys and values take the place of the baseline's. The multiplier acts on the
open rows of every step. Where a pass cannot be resumed, or beams multiply the rows, the decision
costs a prompt pass of its own, and the unmodified texts are left to whoever wants them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from lm_eval.models.huggingface import HFLM

from sna_eval.gating import Decision
from sna_eval.harness.model.every_step import EveryStep
from sna_eval.harness.model.generate_settings import (
    GenerateSettings,
    asked_first,
    processors_maker,
)
from sna_eval.harness.model.overflow import Ended, OverflowWatch, replaced_texts
from sna_eval.harness.plugin.stand_in import generated, text_of
from sna_eval.harness.scoring.passes import DecideText, Generated, Told, tell_nobody
from sna_eval.intervention import Affine, Engine, amplify
from sna_eval.intervention.decoder import keeps_keys, steady_width
from sna_eval.intervention.decoding import DecodingMask
from sna_eval.intervention.prompt_pass import SharedPromptPass
from sna_eval.intervention.side_by_side import SideBySide
from sna_eval.plan import TaskPlan, plain_interventions

_Generate = Callable[..., torch.Tensor]
"""HFLM's `_model_generate`, or what stands in for it."""
_GROWING_CACHES = (None, "dynamic", "hybrid")
"""Keys and values of a prompt, as tensors of its length; `generate` reads `hybrid` as no choice."""


class GatedGeneration:
    """HFLM's generation of one task's requests, with its gate and interventions.

    **Arguments:**

    - `every_step`: whether the gate decides anew at each token.
    - `both`: whether the unmodified model's texts are wanted too.
    """

    def __init__(
        self,
        lm: HFLM,
        engine: Engine,
        plan: TaskPlan,
        decide: DecideText,
        *,
        every_step: bool,
        both: bool,
    ) -> None:
        self._lm, self._engine, self._plan = lm, engine, plan
        self._decide, self._decides_every_step, self._both = decide, every_step, both
        self._model_generate: _Generate = lm._model_generate
        self._decisions: list[Decision] = []
        self._overflowed: list[bool] = []
        """For each decision whether the amplified text overflowed and was replaced."""
        self._changed: list[bool] = []
        """For each decision whether the text may be another than the unmodified model's."""
        self._unmodified: list[torch.Tensor | None] = []
        """For each decision the unmodified model's new ids, `[token]`, where both were made."""

    def run(
        self, requests: Sequence[Any], *, quiet: bool, told: Told[Generated] = tell_nobody
    ) -> list[Generated]:
        """The texts of all requests, in order.

        **Arguments:**

        - `told`: of each text once its batch has ended.
        """
        made: list[Generated] = []
        by_context: dict[str, Generated] = {}

        def row(arguments: tuple[Any, ...], text: str) -> None:
            made.append(self._made(len(made), arguments, text))
            by_context[arguments[0]] = made[-1]
            told(arguments, made[-1])

        texts = generated(self._lm, requests, generate=self._generate, told=row, quiet=quiet)
        return [
            replace(by_context[request.args[0]], text=text)
            for request, text in zip(requests, texts, strict=True)
        ]

    def _made(self, row: int, arguments: tuple[Any, ...], text: str) -> Generated:
        """The text of a row, counted over all batches, with what was decided on it."""
        if not self._decisions:
            return Generated(text)
        ids = self._unmodified[row]
        baseline = None if ids is None else text_of(self._lm, arguments, ids)
        outcome = self._decisions[row], self._overflowed[row], self._changed[row]
        return Generated(text, *outcome, baseline)

    def _generate(self, context: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """HFLM's `_model_generate` for one batch, `[batch, position]`."""
        plan = self._plan
        settings = self._settings(kwargs)
        unusual = settings.other_passes()
        if unusual is not None:
            if plan.gate.mode == "never":
                return self._model_generate(context, *args, **kwargs)
            raise settings.refused(unusual)
        interventions = () if plan.gate.mode == "never" else plain_interventions(plan)
        interventions = tuple(entry for entry in interventions if not entry.changes_nothing)
        if self._generates_both(settings, interventions):
            try:
                return self._side_by_side(context, interventions, *args, **kwargs)
            except torch.OutOfMemoryError:  # as many rows again do not fit: one text at a time
                self._both = False
                del self._decisions[len(self._overflowed) :]
        self._unmodified.extend([None] * len(context))
        if self._decides_every_step:
            return self._every_step(context, interventions, *args, **kwargs)
        run = self._shared if self._shares_prompt_pass(settings) else self._two_passes
        watch = OverflowWatch()

        def watched(*args: Any, **kwargs: Any) -> torch.Tensor:
            with asked_first(self._lm.model, watch):
                return self._model_generate(*args, **kwargs)

        output = run(watched, context, interventions, *args, **kwargs)
        acts = bool(interventions)
        opened = [acts and decision.amplified for decision in self._decisions[-len(context) :]]
        return self._without_overflow(output, opened, watch, context, *args, **kwargs)

    def _generates_both(
        self, settings: GenerateSettings, interventions: tuple[Affine, ...]
    ) -> bool:
        if not self._both or self._decides_every_step or not interventions:
            return False
        # what is drawn depends on the other rows of a batch
        return not settings["do_sample"] and self._shares_prompt_pass(settings)

    def _side_by_side(
        self,
        context: torch.Tensor,
        interventions: tuple[Affine, ...],
        *args: Any,
        **kwargs: Any,
    ) -> torch.Tensor:
        """The batch's gated texts; the unmodified ones of open rows are kept."""
        processors_maker(self._lm.model)  # lacking it is told before anything runs
        both = SideBySide(
            self._lm.model,
            self._engine.sites,
            interventions,
            returns_tuple=self._engine.abilities.returns_tuple,
        )
        mask = kwargs["attention_mask"]
        with both.reading():
            log_probs = self._first_token(context, mask)
        opened = self._open(log_probs)
        with self._lm.autocast(), torch.no_grad():
            rows = both.copy(opened.to(context.device))
        wide = {**kwargs, "attention_mask": mask[rows]}
        watch = OverflowWatch()
        with asked_first(self._lm.model, watch), both.installed():
            output = self._model_generate(context[rows], *args, **wide)
        going = opened.nonzero().squeeze(1).tolist()
        copies = {number: row for row, number in enumerate(going, start=len(context))}
        bad = watch.items(1, self._ended(output, context, kwargs))
        items = [number in copies and bad[copies[number]] for number in range(len(context))]
        changed = {number: row for number, row in copies.items() if not items[number]}
        self._overflowed.extend(items)
        self._changed.extend(number in changed for number in range(len(context)))
        new = output[:, context.shape[1] :]
        self._unmodified.extend(
            new[number] if number in changed else None for number in range(len(context))
        )
        return output[[changed.get(number, number) for number in range(len(context))]]

    def _without_overflow(
        self,
        output: torch.Tensor,
        opened: Sequence[bool],
        watch: OverflowWatch,
        context: torch.Tensor,
        *args: Any,
        **kwargs: Any,
    ) -> torch.Tensor:
        """The batch's texts, those that overflowed when amplified by the unmodified model."""
        settings = self._settings(kwargs)
        # the scores of a beam that overflowed are wrong, and with them the choice among beams
        ended = self._ended(output, context, kwargs) if settings.copies == 1 else None
        found = watch.items(settings.copies, ended)
        items = [bad and opens for bad, opens in zip(found, opened, strict=True)]
        self._overflowed.extend(items)
        self._changed.extend(opens and not bad for bad, opens in zip(items, opened, strict=True))
        if not any(items):
            return output

        def again(numbers: torch.Tensor) -> torch.Tensor:
            mask = kwargs["attention_mask"][numbers]
            return self._model_generate(
                context[numbers], *args, **{**kwargs, "attention_mask": mask}
            )

        pad = self._lm.tokenizer.pad_token_id
        copies = settings.texts  # beams are gone by now
        return replaced_texts(output, items, again, copies=copies, pad=pad)

    def _ended(self, output: torch.Tensor, context: torch.Tensor, kwargs: dict[str, Any]) -> Ended:
        """Tells where a text of `output`, `[batch, position]`, ends, as HFLM cuts it."""
        closing = self._settings(kwargs).closing
        # after a stop string in its thoughts, a text may still come to its answer
        thinks = self._lm.think_end_token is not None
        stops = [] if thinks else [stop for stop in kwargs["stop"] if stop]

        def ended(row: int, width: int) -> bool:
            ids = output[row, context.shape[1] : width].tolist()
            text = self._lm.tok_decode(ids)
            return not closing.isdisjoint(ids) or any(stop in text for stop in stops)

        return ended

    def _shares_prompt_pass(self, settings: GenerateSettings) -> bool:
        if settings.copies > 1:
            return False
        if settings["cache_implementation"] not in _GROWING_CACHES:
            return False  # its layers hold more than the prompt, or hold it in another form
        if settings["max_length"] > steady_width(self._lm.model):
            return False  # the model may read the text again, and otherwise
        return self._engine.abilities.resumes and keeps_keys(self._lm.model)

    def _settings(self, arguments: dict[str, Any]) -> GenerateSettings:
        return GenerateSettings(self._lm.model, arguments)

    def _open(self, log_probs: torch.Tensor) -> torch.Tensor:
        """Decides on the rows of a batch by the first token's distribution: bool, `[batch]`."""
        decisions = [self._decide(row) for row in log_probs]
        self._decisions.extend(decisions)
        return torch.tensor([decision.amplified for decision in decisions])

    def _shared(
        self,
        generate: _Generate,
        context: torch.Tensor,
        interventions: tuple[Affine, ...],
        *args: Any,
        **kwargs: Any,
    ) -> torch.Tensor:
        shared = SharedPromptPass(
            self._lm.model,
            self._engine.sites,
            interventions,
            decide=self._open,
            returns_tuple=self._engine.abilities.returns_tuple,
        )
        with shared.installed():
            return generate(context, *args, **kwargs)

    def _every_step(
        self,
        context: torch.Tensor,
        interventions: tuple[Affine, ...],
        *args: Any,
        **kwargs: Any,
    ) -> torch.Tensor:
        self._settings(kwargs).check_single()
        steps = EveryStep(
            self._lm.model,
            self._engine.sites,
            interventions,
            decide=self._decide,
            prompt_mask=kwargs["attention_mask"],
        )
        with asked_first(self._lm.model, steps):
            output = self._model_generate(context, *args, **kwargs)
        self._decisions.extend(steps.first)
        self._overflowed.extend(steps.watch.items(1, self._ended(output, context, kwargs)))
        self._changed.extend(steps.opened)
        return output

    def _two_passes(
        self,
        generate: _Generate,
        context: torch.Tensor,
        interventions: tuple[Affine, ...],
        *args: Any,
        **kwargs: Any,
    ) -> torch.Tensor:
        log_probs = self._first_token(context, kwargs["attention_mask"])
        rows = self._open(log_probs).to(context.device)
        if not interventions or not bool(rows.any()):
            return generate(context, *args, **kwargs)
        mask = DecodingMask(rows, kwargs["attention_mask"], copies=self._settings(kwargs).copies)
        amplified = amplify(self._lm.model, interventions, sites=self._engine.sites, mask=mask)
        # a pass compiled for a static cache, earlier or now, would know nothing of these hooks
        eager = {**kwargs, "disable_compile": True}
        with mask.told_of_passes(self._lm.model), amplified:
            return generate(context, *args, **eager)

    def _first_token(self, context: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Log-probabilities of the first new token, `[batch, vocabulary]`."""
        with self._engine.context(), torch.no_grad():
            output = self._lm.model.generate(
                input_ids=context,
                attention_mask=mask,
                max_new_tokens=1,
                do_sample=False,
                num_beams=1,
                num_return_sequences=1,
                output_logits=True,
                return_dict_in_generate=True,
                pad_token_id=self._lm.tokenizer.pad_token_id,
            )
        return torch.log_softmax(output.logits[0].float(), dim=-1)
