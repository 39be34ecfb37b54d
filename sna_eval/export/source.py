"""What is exported: a loaded model, and one task's resolved plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from torch import nn

from sna_eval.errors import InputError
from sna_eval.export.scaling import LayerScaling, layer_scalings
from sna_eval.export.vectors import LayerVector, layer_vectors
from sna_eval.intervention import Sites, Unit, base_model
from sna_eval.plan import Plan, TaskPlan, check_task, model_fingerprint, plan_fingerprint


@dataclass(frozen=True, eq=False)
class Source:
    """One task's plan, and the model it was made for.

    **Raises:** `InputError` where the plan does not fit the model or cannot be held by weights, and
    where an adapter is on the model already.
    """

    model: Any
    """The model as loaded; it is read, never changed."""
    tokenizer: Any
    sites: Sites
    task: str
    """Name of the task."""
    plan: TaskPlan
    """The task's plan, with neuron indices."""
    name: str
    """The base model's path or name, under which others can load it."""
    revision: str | None = None
    """Revision of the base model that was asked for; `None` for a folder."""
    gguf_file: str | None = None
    """The file of the base model, where it was loaded from one in the GGUF format."""
    whole_plan: Plan | None = None
    """The plan that the task's part was taken from, for its fingerprint."""
    scalings: tuple[LayerScaling, ...] = field(init=False)
    """The layers whose neurons are scaled, first to last."""
    vectors: tuple[LayerVector, ...] = field(init=False)
    """What is added to the residual stream instead, by a plan that chooses no neurons."""

    def __post_init__(self) -> None:
        if base_model(self.model) is not self.model:
            raise InputError(
                "peft", expected="a base model without an adapter", got=type(self.model).__name__,
                hint="merge the adapter into a checkpoint first, and export for that",
            )  # fmt: skip
        on_neurons = any(entry.unit == "mlp" for entry in self.plan.interventions)
        if self.sites.n_experts and on_neurons:
            raise InputError(
                "pretrained", expected="a model whose neurons have one output projection a layer",
                got=f"{self.sites.architecture}, {self.sites.n_experts} experts a layer",
                hint="no adapter format scales single neurons of experts; run it with --model sna",
            )  # fmt: skip
        where = f"tasks.{self.task}"
        check_task(self.plan, self.sites, field=where)
        adds = bool(self.plan.interventions) and not any(
            entry.how.chooses_neurons for entry in self.plan.interventions
        )
        scalings = () if adds else layer_scalings(self.plan, field=where)
        object.__setattr__(self, "scalings", scalings)
        vectors = layer_vectors(self.plan, field=where) if adds else ()
        object.__setattr__(self, "vectors", vectors)

    @property
    def shown_name(self) -> str:
        """The base model as a sentence names it."""
        return self.name if self.gguf_file is None else f"{self.name}, {self.gguf_file}"

    @property
    def commit(self) -> str | None:
        """The base model's commit on the hub; `None` where it came from a folder."""
        return getattr(self.model.config, "_commit_hash", None)

    @property
    def dtype(self) -> str:
        """What the model was loaded in."""
        return str(self.model.dtype).removeprefix("torch.")

    @cached_property
    def model_hash(self) -> str:
        return model_fingerprint(self.model)

    @property
    def plan_hash(self) -> str | None:
        return plan_fingerprint(self.whole_plan) if self.whole_plan is not None else None

    def module_name(self, layer: int, unit: Unit = "mlp") -> str:
        """Path in the model of the output projection that a layer's units write by."""
        return f"{self.sites.block_path}.{layer}.{self.sites.of(unit).projection_path}"

    def name_of(self, scaling: LayerScaling) -> str:
        """Path of the module that a scaling is on."""
        return self.module_name(scaling.layer, scaling.unit)

    def projection(self, scaling: LayerScaling) -> nn.Module:
        """The module that a scaling is on."""
        return self.sites.of(scaling.unit).projections[scaling.layer]

    @property
    def channel_scalings(self) -> tuple[LayerScaling, ...]:
        """`scalings` as factors on the inputs of the modules: of a head, on its channels."""
        return tuple(scaling.by_channel(self.sites) for scaling in self.scalings)


def made_by() -> str:
    """This package and its version, as exports name them."""
    from sna_eval import __version__

    return f"sna-eval {__version__}"
