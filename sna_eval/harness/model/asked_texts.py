"""What a run asks of generated texts, looked at before anything is scored.

Settings that lm_eval or transformers stop at would be met after hours of scoring, which were lost.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from lm_eval.models.utils import normalize_gen_kwargs

from sna_eval.errors import InputError, reading
from sna_eval.harness.model.generate_settings import GenerateSettings
from sna_eval.harness.scoring.ledger import GENERATED, SCORED
from sna_eval.harness.scoring.suits import PlanOf


def check_asked_texts(lm: Any, plan_of: PlanOf, requests: Sequence[Any]) -> None:
    """Raises `InputError` where the texts that are asked for cannot be generated under the plan.

    **Arguments:**

    - `lm`: an `SNALM`.
    - `requests`: of all tasks of the run.
    """
    _check_thinking(lm, requests)
    asked = {
        (request.task_name or "", json.dumps(request.args[1], sort_keys=True, default=str)): request
        for request in requests
        if request.request_type == GENERATED
    }
    for (name, text), request in asked.items():
        plan = plan_of(name)
        field = f"tasks.{name}.generation_kwargs"
        with reading(field, expected="settings of generation", got=text):
            settings = normalize_gen_kwargs(request.args[1], lm.max_gen_toks)
        _check_numbers(lm, field, settings)
        if plan is not None and plan.gate.mode != "never":
            _check_passes(lm, settings)


def _check_thinking(lm: Any, requests: Sequence[Any]) -> None:
    scored = [own.task_name for own in requests if own.request_type == SCORED]
    if lm.enable_thinking and scored:
        raise InputError(
            "enable_thinking", expected="tasks of generated texts alone", got=scored[0],
            hint="what follows a thought is not scored; leave the task or the argument out",
        )  # fmt: skip


def _check_numbers(lm: Any, field: str, settings: Any) -> None:
    if settings["max_gen_toks"] >= lm.max_length:
        raise InputError(
            f"{field}.max_gen_toks",
            expected=f"fewer than the {lm.max_length} tokens that the model reads",
            got=settings["max_gen_toks"], hint="--gen_kwargs max_gen_toks=N sets it for a run",
        )  # fmt: skip
    temperature = settings.get("temperature", 0.0)
    if settings["do_sample"] and not float(temperature) > 0:
        raise InputError(
            f"{field}.temperature", expected="more than 0 beside do_sample=true", got=temperature,
            hint="name one, such as 1.0, or leave do_sample out",
        )  # fmt: skip


def _check_passes(lm: Any, settings: Any) -> None:
    asked = GenerateSettings(lm.model, settings)
    unusual = asked.other_passes()
    if unusual is not None:
        raise asked.refused(unusual)
    if lm.decide_at == "every_step":
        asked.check_single()
