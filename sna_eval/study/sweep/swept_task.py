"""What is swept over one task: its items, its grid, its gate, and how neurons are ranked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sna_eval.errors import InputError
from sna_eval.gating import (
    SIGNALS,
    AnswerSignal,
    ChoicesSignal,
    ConfidenceSignal,
    Gate,
    NextTokenSignal,
)
from sna_eval.harness.scoring.decisions import with_usable_signal
from sna_eval.harness.tasks.contexts import Contexts
from sna_eval.harness.tasks.development import Half, examples_of, halved
from sna_eval.intervention import Sites
from sna_eval.measuring.grid import (
    HEAD_COUNTS,
    LABEL_COUNTS,
    LABEL_MULTIPLIERS,
    PAPER_COUNTS,
    PAPER_MULTIPLIERS,
    Grid,
    check_directions,
    label_layers,
)
from sna_eval.measuring.items import Split, TaskItems, load_items
from sna_eval.neurons import RANKINGS, Examples
from sna_eval.neurons.pairs import pair_examples, read_pairs
from sna_eval.plan import TaskPlan, load_plan, match_task, prompt_fingerprint
from sna_eval.plan.applying import BOTH
from sna_eval.study.sweep.manifest import written_clusters
from sna_eval.study.sweep.options import SweepOptions

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM


@dataclass(frozen=True, eq=False)
class SweptTask:
    """One task of a sweep."""

    name: str
    split: Split
    items: TaskItems
    examples: Examples
    """Development prompts that neurons are ranked on."""
    grid: Grid
    method: str
    """How neurons are ranked."""
    half: Half | None
    """Of the development items, that neurons are ranked on; `None`: all of them."""
    cluster: str | None
    """Field of the documents that says which items go together."""
    gate: Gate
    """Says which zone an item is in; every item is amplified all the same."""

    def described(self) -> dict[str, Any]:
        """What a sweep's manifest says of it: all that its results depend on."""
        return {
            "select": self.method,
            "n_items": len(self.items.items),
            "clusters": written_clusters(self.items.clusters),
            "items_hash": prompt_fingerprint(self.items.described()),
            "prompts_hash": self.examples.fingerprint,
            **({"ranked_apart": True} if self.half else {}),
            **RANKINGS.find(self.method).record(self.examples),
            "gate": asdict(self.gate),
            "grid": asdict(self.grid),
        }


def swept_task(name: str, task: Any, lm: SNALM, options: SweepOptions) -> SweptTask:
    """What the options say of an lm_eval task; what they leave open follows from model and task.

    **Raises:** `InputError` for layers, counts or directions that model and task do not have.
    """
    planned = match_task(load_plan(options.plan), name) if options.plan else None
    cluster = None if planned is None else planned.cluster
    apart = options.halves and options.split == "development" and _can_be_halved(task, cluster)
    items = load_items(
        task, lm, split=options.split, limit=options.limit, spread=options.spread,
        prompting=options.prompting, cluster=cluster, half="choosing" if apart else None,
    )  # fmt: skip
    half: Half | None = "ranking" if apart else None
    contexts = Contexts.of(task, lm, options.prompting)
    if options.prompts is None:
        examples = examples_of(
            task, options.max_prompts, half=half, cluster=cluster, contexts=contexts
        )
    else:
        examples = pair_examples(read_pairs(options.prompts, field="prompts"), lm.bench.chat)
    method = options.select or _usual_method(examples)
    if examples.paired and "reference" not in RANKINGS.find(method).settings:
        raise InputError(
            "select", expected="a ranking that compares two kinds of prompts, beside pairs",
            got=method, hint="use differential or absolute",
        )  # fmt: skip
    labels = examples.label_names if method == "contrastive" else ()
    sites = lm.sites.of(options.unit)
    grid = grid_of(options, method, sites)
    grid.check(sites)
    check_directions(grid.directions, labels, allow_oracle=options.allow_oracle)
    gate = _gate(options, planned, items)
    return SweptTask(name, options.split, items, examples, grid, method, half, cluster, gate)


def _can_be_halved(task: Any, cluster: str | None) -> bool:
    return halved(task, cluster)[1] is not None


def default_gate(items: TaskItems) -> Gate:
    """The paper's: margin between choices, else the target's probability.

    Text that is generated has no target to look at, so there it is the likeliest next token's. A
    rolling text is amplified as it is: its beginning says nothing of the whole's confidence.
    """
    kind: type[ConfidenceSignal] = ChoicesSignal if items.has_choices else AnswerSignal
    if items.kind == "generate_until":
        kind = NextTokenSignal
    rolling = items.kind == "loglikelihood_rolling"
    return Gate.by(SIGNALS.first(kind), mode="always" if rolling else "confidence")


def grid_of(asked: SweepOptions, method: str, sites: Sites) -> Grid:
    """Layers, counts and multipliers that are asked for, or the usual ones of a ranking.

    **Arguments:**

    - `method`: name of the ranking.
    """
    every, labelled = sites.layers, method == "contrastive"
    counts: tuple[int, ...] = LABEL_COUNTS if labelled else PAPER_COUNTS
    if sites.unit == "head":
        counts = HEAD_COUNTS
    room = sites.n_units // (4 if labelled else 2)  # as many again, of each label
    counts = tuple(count for count in counts if count <= room) or (1,)
    return Grid(
        asked.layers or (_at(every, label_layers(len(every))) if labelled else every),
        asked.n_neurons or counts,
        asked.multipliers or (LABEL_MULTIPLIERS if labelled else PAPER_MULTIPLIERS),
        asked.directions or (BOTH,),
    )


def _gate(asked: SweepOptions, planned: TaskPlan | None, items: TaskItems) -> Gate:
    if asked.gate is not None:
        return with_usable_signal(asked.gate, items.items[0])
    if planned is not None:
        return with_usable_signal(planned.gate, items.items[0])
    return default_gate(items)


def _at(layers: Sequence[int], places: Sequence[int]) -> tuple[int, ...]:
    """Some of the layers that have neurons, by their place among them."""
    return tuple(layers[place] for place in places)


def _usual_method(examples: Examples) -> str:
    return (
        "contrastive"
        if not examples.paired and len(examples.label_names) == len(set(examples.label_names)) == 2
        else "differential"
    )
