"""What an answer of a model depends on: the keys of the response cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sna_eval.harness.model.numerics import numerics
from sna_eval.harness.scoring.kept_texts import TextKey, TextKind
from sna_eval.harness.tasks.items import Item
from sna_eval.harness.tasks.live_tasks import LiveTasks
from sna_eval.plan import task_fingerprint

_SCORES = "loglikelihood 4"  # of cached answers: before, choices without a context were none
_TEXTS: dict[TextKind, str] = {
    "generate_until": "generate_until 1",
    "loglikelihood_rolling": "loglikelihood_rolling 1",
}


def item_key(lm: Any, live: LiveTasks) -> Callable[[Item], Any]:
    """Of an item's scores, as plain JSON values.

    **Arguments:**

    - `lm`: an `SNALM`.
    """
    settings = numerics(lm)

    def key(item: Item) -> list[Any]:
        plan = lm.plans.for_instance(item.instance)
        right = live.right_answer(item) if plan is not None and plan.sees_answer else None
        return [
            _SCORES, lm.model_hash, lm.strict, right, item.unconditional,
            task_fingerprint(plan) if plan is not None else None, settings,
            [[request.context, request.continuation] for request in item.requests],
            *(["alone"] if item.alone else []),
        ]  # fmt: skip

    return key


def text_key(lm: Any) -> TextKey:
    """Of a generated text, or of a whole text's score, as plain JSON values.

    **Arguments:**

    - `lm`: an `SNALM`.
    """
    settings = numerics(lm)
    defaults = getattr(lm.model, "generation_config", None)
    writing = {
        "decide_at": lm.decide_at, "max_gen_toks": lm.max_gen_toks, "eos": lm.eot_token_id,
        "think_end_token": lm.think_end_token, "truncation": lm.truncation,
        "defaults": None if defaults is None else defaults.to_json_string(),
    }  # fmt: skip

    def key(kind: TextKind, request: Any, planned: bool) -> list[Any]:
        plan = lm.plans.for_instance(request) if planned else None
        text, *options = request.args
        generates = kind == "generate_until"
        return [
            _TEXTS[kind], lm.model_hash, lm.strict,
            task_fingerprint(plan) if plan is not None else None, settings,
            lm.tok_encode(text), [*options, writing] if generates else lm.prefix_token_id,
        ]  # fmt: skip

    return key
