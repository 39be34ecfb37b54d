"""A row of the table: a method with its options, and the plan it makes of a task's own plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from sna_eval.errors import InputError
from sna_eval.methods import METHODS, find_method
from sna_eval.neurons import MAX_PROMPTS, RANKINGS, Pooling, Sinks, find_ranking
from sna_eval.neurons.rankings import USUAL
from sna_eval.plan import PlannedIntervention, Provenance, Selection, TaskPlan

SHOTS = (1, 3, 5)
"""Examples that `few_shot` is measured with."""
_STEERING = ("actadd", "caa", "repe")


@dataclass(frozen=True)
class Variant:
    """A method as it is measured."""

    label: str
    method: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def steers(self) -> bool:
        """Whether its strength is chosen on development items; others have none, or learn it."""
        return self.method in _STEERING

    def plan(self, base: TaskPlan) -> TaskPlan:
        """What this method does in the place of a task's own intervention, behind the same gate.

        Methods that choose neurons take layer, count, factor, positions and direction from it;
        others act in its lowest layer, and learned ones from there on.
        """
        own = [entry for entry in base.interventions if entry.how.chooses_neurons]
        if not own:
            raise InputError(
                "plan", expected="an intervention on chosen neurons, to put others beside",
                got=", ".join(entry.method for entry in base.interventions) or "none",
            )  # fmt: skip
        if self.method == "sna":
            return base
        if self.method == "ungated":
            entries = tuple(replace(entry, method="ungated") for entry in own)
        elif find_method(self.method).chooses_neurons:
            entries = tuple(self._chosen_anew(entry) for entry in own)
        else:
            entries = (self._instead(min(entry.layer for entry in own)),)
        return replace(base, interventions=entries)

    def _chosen_anew(self, entry: PlannedIntervention) -> PlannedIntervention:
        return replace(
            entry, method=self.method, options=self.options, select=_selection(entry),
            neurons=None, scores=None, found=None,
        )  # fmt: skip

    def _instead(self, layer: int) -> PlannedIntervention:
        positions = find_method(self.method).positions
        return PlannedIntervention(
            layer, method=self.method, positions=positions, options=self.options
        )


def parse_variants(names: Sequence[str], *, random_draws: int, seed: int) -> list[Variant]:
    """Variants by method names; `all` means every method. `sna` and its control always come first.

    **Raises:** `InputError` for a name that no method has.
    """
    asked = list(METHODS) if "all" in names else [find_method(name).name for name in names]
    ordered = dict.fromkeys(["sna", "random_neurons", *asked])
    return [own for name in ordered for own in _variants(name, random_draws, seed)]


def _variants(name: str, random_draws: int, seed: int) -> list[Variant]:
    if name == "random_neurons":
        seeds = range(seed, seed + random_draws)
        return [Variant(f"{name}-{own}", name, {"seed": own}) for own in seeds]
    if name == "few_shot":
        return [Variant(f"{name}-{k}", name, {"k": k, "seed": seed}) for k in SHOTS]
    learned = {"seed": seed} if "seed" in METHODS[name].options else {}
    return [Variant(name, name, learned)]


def _selection(entry: PlannedIntervention) -> Selection:
    """How an entry's neurons were searched for; of random ones, what they stand in for."""
    if entry.select is not None:
        own = entry.select
        return own if find_ranking(own.method).orders else replace(own, method=USUAL, seed=None)
    sets, found = entry.neurons or {}, entry.found or Provenance()
    default = USUAL if len(sets) == 1 else "contrastive"
    ranking = RANKINGS.get(found.method or default, RANKINGS[default])
    ranking = ranking if ranking.orders else RANKINGS[default]
    return Selection(
        ranking.name,
        max(map(len, sets.values()), default=1),
        pooling=cast(Pooling, found.pooling or "mean") if "pooling" in ranking.settings else "mean",
        max_prompts=found.max_prompts or MAX_PROMPTS,
        sinks=cast(Sinks, found.sinks or ("keep" if entry.found else "drop")),
    )
