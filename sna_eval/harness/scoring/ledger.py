"""What a run did, in numbers that go into its result file."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sna_eval.gating import Decision
from sna_eval.harness.tasks.items import Item
from sna_eval.harness.values import evidence_of
from sna_eval.intervention import Batch

SCORED, GENERATED, ROLLING = "loglikelihood", "generate_until", "loglikelihood_rolling"


@dataclass(eq=False)
class TaskLedger:
    """Counts of one task."""

    items: int = 0
    amplified: int = 0
    overflowed: int = 0
    """Items whose amplified score was not finite; they keep their baseline."""
    tokenized_apart: int = 0
    """Items with a target that the tokenizer joins to its context's last token."""
    zones: Counter[int] = field(default_factory=Counter)
    single_choice: int = 0
    """Items of a task of choices that have but one."""
    kind: str = ""
    """Kind of requests that the counted items made. A document that is asked for a text and for a
    score as well (SQuAD 2) is one item, and in the zone that the kind asked for first says."""

    def as_dict(self) -> dict[str, Any]:
        return {
            "items": self.items,
            "amplified": self.amplified,
            "amplified_fraction": self.amplified / self.items if self.items else 0.0,
            "overflowed": self.overflowed,
            "tokenized_apart": self.tokenized_apart,
            "zones": {str(zone): self.zones[zone] for zone in (1, 2, 3)},
            **({"single_choice": self.single_choice} if self.single_choice else {}),
        }

    def add(self, other: TaskLedger) -> None:
        self.items += other.items
        self.amplified += other.amplified
        self.overflowed += other.overflowed
        self.tokenized_apart += other.tokenized_apart
        self.zones += other.zones
        self.single_choice += other.single_choice


@dataclass(eq=False)
class Ledger:
    """Counts of a run."""

    tasks: defaultdict[str, TaskLedger] = field(default_factory=lambda: defaultdict(TaskLedger))
    baseline_rows: int = 0
    baseline_tokens: int = 0
    shared_tokens: int = 0
    """Tokens not read thanks to sharing: contexts once per document, beginnings once per task."""
    full_rows: int = 0
    """Open rows that ran all blocks again."""
    resumed_rows: Counter[int] = field(default_factory=Counter)
    """Open rows that went on from a block, by layer."""

    @property
    def overflowed(self) -> int:
        """Items of all tasks that keep their baseline because they overflowed."""
        return sum(task.overflowed for task in self.tasks.values())

    def remarks(self) -> dict[str, str]:
        """What a user should know beside the scores, by what it is about."""
        single = {
            name: task.single_choice for name, task in self.tasks.items() if task.single_choice
        }
        said: dict[str, str] = {}
        if self.overflowed:
            said["overflowed"] = (
                f"{self.overflowed} items overflowed when amplified and keep their baseline: "
                "try dtype=float32 or a smaller multiplier"
            )
        if single:
            said["single_choice"] = (
                f"{sum(single.values())} documents of {', '.join(single)} have a single choice: "
                "there is nothing to decide, and between choices they count as zone 3"
            )
        return said

    def count_baseline(self, batch: Batch) -> None:
        self.baseline_rows += len(batch.rows)
        read = sum(len(row) - batch.skip for row in batch.rows)
        branches = [(row, branch) for row in batch.rows for branch in row.branches]
        alone = sum(len(row.context) + len(branch) - 1 for row, branch in branches)
        self.baseline_tokens += read
        self.shared_tokens += alone - read

    def count_amplified(self, batch: Batch, layer: int | None) -> None:
        """Counts open rows; `layer` is where they resumed, `None` for a full pass."""
        if layer is None:
            self.full_rows += len(batch.rows)
        else:
            self.resumed_rows[layer] += len(batch.rows)

    def count_item(
        self,
        task: str,
        decision: Decision,
        kind: str,
        *,
        overflowed: bool = False,
        alone: bool = False,
    ) -> None:
        """Counts an item once, whatever else its document is asked for.

        **Arguments:**

        - `kind`: of its requests, as lm_eval names them.
        - `alone`: whether it is the one choice of a document.
        """
        counts = self.tasks[task]
        counts.kind = counts.kind or kind
        if kind != counts.kind:
            return
        counts.single_choice += alone
        counts.items += 1
        counts.zones[decision.zone] += 1
        counts.amplified += decision.amplified
        counts.overflowed += overflowed

    def count_kept(self, item: Item, answers: Sequence[tuple[float, bool]]) -> None:
        """Counts an item whose answers were kept from an earlier run."""
        evidence = evidence_of(answers[0][0])
        if evidence is not None:
            decision = Decision(evidence.zone, evidence.confidence, evidence.amplified)
            self.count_item(
                item.task, decision, SCORED, overflowed=evidence.overflowed, alone=item.alone
            )

    def as_dict(self) -> dict[str, Any]:
        return {
            "baseline_rows": self.baseline_rows,
            "baseline_tokens": self.baseline_tokens,
            "shared_tokens": self.shared_tokens,
            "full_rows": self.full_rows,
            "resumed_rows": {str(layer): n for layer, n in sorted(self.resumed_rows.items())},
        }


def total(ledgers: Iterable[Ledger]) -> Ledger:
    """The counts of several processes of one run."""
    whole = Ledger()
    for ledger in ledgers:
        for name, task in ledger.tasks.items():
            whole.tasks[name].add(task)
        whole.baseline_rows += ledger.baseline_rows
        whole.baseline_tokens += ledger.baseline_tokens
        whole.shared_tokens += ledger.shared_tokens
        whole.full_rows += ledger.full_rows
        whole.resumed_rows += ledger.resumed_rows
    return whole
