"""What an answer of a model depends on: its numerics, and the keys of the response cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lm_eval.models.huggingface import HFLM

from sna_eval.harness.scoring.kept_texts import TextKey, TextKind
from sna_eval.harness.tasks.items import Item
from sna_eval.harness.tasks.questions import LiveTasks
from sna_eval.intervention.decoder import config_fingerprint
from sna_eval.plan import task_fingerprint

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM


def numerics(lm: HFLM) -> dict[str, Any]:
    """A model's precision, window and settings, as plain values.

    Answers, sweeps and measurements that differ in any of it must not be mixed.
    """
    dtypes = {
        "dtype": next(lm.model.parameters()).dtype,
        "mixed_precision_dtype": lm.mixed_precision_dtype,
        "softmax_dtype": lm.softmax_dtype,
    }
    named = {
        name: None if dtype is None else str(dtype).removeprefix("torch.")
        for name, dtype in dtypes.items()
    }
    features = lm.sites.features if getattr(lm, "dictionaries", ()) else None
    if features is not None:
        named["dictionary_hash"] = features.sha256
    return {**named, "max_length": lm.max_length, "config_hash": config_fingerprint(lm.model)}


_SCORES = "loglikelihood 4"  # of cached answers: before, choices without a context were none
_TEXTS: dict[TextKind, str] = {
    "generate_until": "generate_until 1",
    "loglikelihood_rolling": "loglikelihood_rolling 1",
}


def item_key(lm: SNALM, live: LiveTasks) -> Callable[[Item], Any]:
    """Of an item's scores, as plain JSON values."""
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


def text_key(lm: SNALM) -> TextKey:
    """Of a generated text, or of a whole text's score, as plain JSON values."""
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
