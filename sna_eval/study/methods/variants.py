"""A row of the table: a method with its options, and the plan it makes of a task's own plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sna_eval.errors import InputError
from sna_eval.methods import METHODS
from sna_eval.plan import PlannedIntervention, TaskPlan
from sna_eval.plan.selection import Selection
from sna_eval.study.nulls.rankings import Ranking, Rankings
from sna_eval.typed import Json

SHOTS = (1, 3, 5)
"""Examples that `few_shot` is measured with."""
SEARCHED = "sna_searched"
"""Amplification with no more search than each of the others has."""
EQUAL_ENTROPY = "temperature_entropy"
"""The temperature that leaves the model as undecided as the plan does."""
RANDOM = "random_neurons"
OTHER_LAYER = "other_layer"
_BY_RANKING = (SEARCHED, RANDOM, "bottom_neurons", OTHER_LAYER)


@dataclass(frozen=True)
class Variant:
    """A method as it is measured."""

    label: str
    method: str
    options: Json = field(default_factory=dict)

    @property
    def by_ranking(self) -> bool:
        """Whether it amplifies the neurons of a ranking, which is searched as the claim's is."""
        return self.label in _BY_RANKING

    @property
    def keeps_direction(self) -> bool:
        """Whether it amplifies towards whom the task's own intervention does."""
        return self.label in ("sna", "ungated")

    @property
    def has_strength(self) -> bool:
        """Whether its strength is chosen on development items."""
        return not METHODS.find(self.method).chooses_neurons and self.method != "few_shot"

    @property
    def needs_answers(self) -> bool:
        """Whether it learns from right answers, or shows them."""
        return METHODS.find(self.method).needs_answers

    @property
    def across_layers(self) -> bool:
        """Whether it amplifies neurons of all layers together, by a search of its own."""
        return bool(METHODS.find(self.method).select.get("across_layers"))

    def plan_across(self, base: TaskPlan, share: float) -> TaskPlan:
        """The same for a fraction of all neurons, at multiplier 1."""
        select = Selection(**{**METHODS.find(self.method).select, "share": share})
        neuron_entries(base)
        instead = PlannedIntervention(0, method=self.method, select=select)
        return replace(base, interventions=(instead,))

    def plan(self, base: TaskPlan, layer: int | None = None) -> TaskPlan:
        """What this method does in the place of a task's own intervention, behind the same gate.

        **Arguments:**

        - `layer`: where a method acts that needs one, or from where on; `None`: the lowest layer
            that the task's own intervention has.
        """
        entries = neuron_entries(base)
        if self.label == "sna":
            return base
        if self.method == "ungated":
            return replace(
                base, interventions=tuple(replace(entry, method="ungated") for entry in entries)
            )
        assert not self.by_ranking, "its neurons are searched"
        assert not self.across_layers, "its neurons are searched"
        lowest = min(entry.layer for entry in entries) if layer is None else layer
        positions = METHODS.find(self.method).positions
        instead = PlannedIntervention(
            lowest, method=self.method, positions=positions, options=self.options
        )
        return replace(base, interventions=(instead,))


def other_layers(base: TaskPlan, layers: Sequence[int]) -> list[int]:
    """Those of some layers that a plan leaves alone."""
    taken = {entry.layer for entry in base.interventions}
    return [layer for layer in layers if layer not in taken]


def ranking_of_row(
    label: str, rankings: Rankings, profile: Ranking, others: Sequence[int]
) -> Ranking:
    """What a row that goes by a ranking is searched in.

    **Arguments:**

    - `profile`: the ranking as it is.
    - `others`: layers that the task's own plan leaves alone.
    """
    if label == SEARCHED:
        return profile
    if label == "bottom_neurons":
        return rankings.last()
    return {layer: profile[layer] for layer in others}


def neuron_entries(base: TaskPlan) -> list[PlannedIntervention]:
    """A plan's interventions on chosen neurons.

    **Raises:** `InputError` where there are none.
    """
    entries = [entry for entry in base.interventions if entry.how.chooses_neurons]
    if not entries:
        raise InputError(
            "plan", expected="an intervention on chosen neurons, to put others beside",
            got=", ".join(entry.method for entry in base.interventions) or "none",
        )  # fmt: skip
    return entries


def parse_variants(names: Sequence[str], *, seed: int) -> list[Variant]:
    """Variants by method names; `all` means every method but those that are read from files.

    Amplification, the same with equal search, and random rankings always come first.

    **Raises:** `InputError` for a name that no method has.
    """
    every = [name for name, method in METHODS.items() if not method.reads_files]
    asked = every if "all" in names else [METHODS.find(name).name for name in names]
    ordered = dict.fromkeys(["sna", RANDOM, *asked])
    return [variant for name in ordered for variant in _variants(name, seed)]


def _variants(name: str, seed: int) -> list[Variant]:
    if name == "sna":
        return [Variant(name, name), Variant(SEARCHED, name)]
    if name == "few_shot":
        return [Variant(f"{name}-{k}", name, {"k": k, "seed": seed}) for k in SHOTS]
    if name == "temperature":
        return [Variant(name, name), Variant(EQUAL_ENTROPY, name)]
    learned = {"seed": seed} if "seed" in METHODS[name].options and name != RANDOM else {}
    return [Variant(name, name, learned)]
