"""Gated amplification in generation: decided per request at the first new token, then held.

Open and closed requests decode in one batch; the multiplier acts on the open rows of every pass.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from sna_eval.errors import InputError
from sna_eval.gating import Decision, Gate, entropy, max_prob
from sna_eval.harness.decisions import plain_interventions
from sna_eval.harness.values import GeneratedText
from sna_eval.intervention import Intervention, amplify
from sna_eval.plan import TaskPlan

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM


class _RowOrder:
    """Stands in for lm_eval's cache hook, to which HFLM reports its texts in row order."""

    dbdict = None

    def __init__(self) -> None:
        self.contexts: list[str] = []

    def add_partial(self, kind: str, request: tuple[Any, ...], result: Any) -> None:
        self.contexts.append(request[0])


class Generator:
    """Runs HFLM's generation with the gate and the interventions of each request's task."""

    def __init__(
        self,
        lm: SNALM,
        generate_until: Callable[..., list[str]],
        model_generate: Callable[..., Any],
    ) -> None:
        self._lm = lm
        self._generate_until = generate_until
        self._model_generate = model_generate
        self._plan: TaskPlan | None = None
        self._decisions: list[Decision] = []

    def run(self, requests: Sequence[Any], disable_tqdm: bool) -> list[str]:
        """The texts of all requests, in order; a `GeneratedText` where a plan applies."""
        groups: dict[str, list[int]] = defaultdict(list)
        for number, request in enumerate(requests):
            groups[request.task_name or ""].append(number)
        texts: list[str] = [""] * len(requests)
        for task, numbers in groups.items():
            self._plan = self._lm.plans.for_instance(requests[numbers[0]])
            own = [requests[number] for number in numbers]
            answers = self._run_task(task, own, disable_tqdm)
            for number, text in zip(numbers, answers, strict=True):
                texts[number] = text
        return texts

    def _run_task(self, task: str, requests: Sequence[Any], disable_tqdm: bool) -> list[str]:
        order, hook = _RowOrder(), self._lm.cache_hook
        self._decisions = []
        self._lm.cache_hook = order
        try:
            texts = self._generate_until(list(requests), disable_tqdm=disable_tqdm)
        finally:
            self._lm.cache_hook = hook
        if not self._decisions:
            return texts
        decided = dict(zip(order.contexts, self._decisions, strict=True))
        answers: list[str] = []
        for request, text in zip(requests, texts, strict=True):
            decision = decided[request.args[0]]
            self._lm.ledger.count_item(task, decision)
            answers.append(GeneratedText(text, decision))
        return answers

    def generate(self, context: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """HFLM's `_model_generate` for one batch, `[batch, position]`."""
        plan = self._plan
        if plan is None:
            return self._model_generate(context, *args, **kwargs)
        decisions = [
            _decide(plan.gate, log_probs)
            for log_probs in self._first_token(context, kwargs["attention_mask"])
        ]
        self._decisions.extend(decisions)
        rows = torch.tensor([decision.amplified for decision in decisions], device=context.device)
        if not bool(rows.any()):
            return self._model_generate(context, *args, **kwargs)
        mask = _RowMask(rows)
        interventions = plain_interventions(plan)
        with amplify(self._lm.model, interventions, sites=self._lm.sites, mask=mask):
            return self._model_generate(context, *args, **kwargs)

    def _first_token(self, context: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Log-probabilities of the first new token, `[batch, vocabulary]`."""
        with self._lm._autocast(), torch.no_grad():
            output = self._lm.model.generate(
                input_ids=context,
                attention_mask=mask,
                max_new_tokens=1,
                do_sample=False,
                output_logits=True,
                return_dict_in_generate=True,
                pad_token_id=self._lm.tokenizer.pad_token_id,
            )
        return torch.log_softmax(output.logits[0].float(), dim=-1)


class _RowMask:
    """Where an intervention acts while decoding: rows as decided, positions by the pass."""

    def __init__(self, rows: torch.Tensor) -> None:
        self._rows = rows

    def __call__(self, intervention: Intervention, positions: int) -> torch.Tensor:
        rows = self._rows.unsqueeze(1)
        if intervention.positions == "all" or (positions == 1 and intervention.positions != "last"):
            return rows
        last = torch.zeros(1, positions, dtype=torch.bool, device=rows.device)
        last[0, -1] = positions > 1  # prompts are padded on the left; a decoded token is not `last`
        return rows & last


def _decide(gate: Gate, log_probs: torch.Tensor) -> Decision:
    if gate.mode == "confidence" and gate.signal not in ("max_prob", "entropy"):
        raise InputError(
            "gate.signal",
            expected="`max_prob`, `entropy`, `always` or `never` for generated text",
            got=gate.signal,
            hint="a generated text has no target and no choices",
        )
    measure = entropy if gate.signal == "entropy" else max_prob
    return gate.decide(float(measure(log_probs)))
