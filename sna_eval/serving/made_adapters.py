"""A plan's adapters made from the base model's weights, before an engine takes the memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sna_eval.errors import InputError
from sna_eval.export import Source, export_plan
from sna_eval.export.formats.lora import last_names, lora_rank, vllm_slot
from sna_eval.intervention import find_sites
from sna_eval.plan import Plan, check_model, model_fingerprint
from sna_eval.serving.adapters import scalings_digest, task_scalings
from sna_eval.typed import Json

_LOADING = ("revision", "trust_remote_code")
"""Arguments that say which weights a name means."""


@dataclass(frozen=True)
class MadeAdapters:
    """Adapters on disk, and what an engine has to know of them."""

    folders: Mapping[str, Path] = field(default_factory=dict)
    """By the hash of what they do."""
    slot: int = 0
    """Rank that all of them fit in, as vLLM counts ranks."""
    modules: tuple[str, ...] = ()
    """Last names of the layers that they are on."""
    model_hash: str | None = None
    """Of the base model's weights."""


def make_adapters(plan: Plan, pretrained: Any, folder: Path, arguments: Json) -> MadeAdapters:
    """Writes a LoRA for each thing that the plan does to a task.

    **Arguments:**

    - `pretrained`: the base model's folder or hub name.
    - `arguments`: further model arguments.

    **Raises:** `InputError` where the model does not load, or the plan is not for it.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    given = {name: arguments[name] for name in _LOADING if arguments.get(name) is not None}
    try:
        model = AutoModelForCausalLM.from_pretrained(pretrained, dtype="auto", **given).eval()
        tokenizer = AutoTokenizer.from_pretrained(arguments.get("tokenizer") or pretrained, **given)
    except Exception as error:
        said = (str(error).strip().splitlines() or ["no details"])[0][:300]
        raise InputError(
            "pretrained", expected="a model folder or hub name", got=pretrained, hint=said
        ) from error
    sites = find_sites(model)
    check_model(plan, sites)
    sources: dict[str, Source] = {}
    for name, task in plan.tasks.items():
        if not task.resolved:
            raise InputError(
                f"tasks.{name}.select", expected="neurons, for a model that runs elsewhere",
                got="`select`, which is not resolved yet",
                hint="sna-eval identify writes the plan with its neurons",
            )  # fmt: skip
        scalings = task_scalings(task, field=f"tasks.{name}")
        if scalings:
            inside = tuple(entry for entry in task.interventions if not entry.prompt)
            sources[scalings_digest(scalings)] = Source(
                model=model, tokenizer=tokenizer, sites=sites, task=name,
                plan=replace(task, interventions=inside), name=str(pretrained),
                revision=arguments.get("revision"),
            )  # fmt: skip
    return MadeAdapters(
        {key: export_plan(source, folder / key, format="lora") for key, source in sources.items()},
        vllm_slot(max(map(lora_rank, sources.values()), default=0)),
        tuple(dict.fromkeys(name for source in sources.values() for name in last_names(source))),
        model_fingerprint(model),
    )
