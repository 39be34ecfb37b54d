"""How well a screened sweep's predictions held, read from its store."""

from __future__ import annotations

from sna_eval.study.sweep.screening.agreement import Agreement, agreements
from sna_eval.study.sweep.store import SweepStore


def store_agreements(store: SweepStore) -> dict[str, list[Agreement]]:
    """Per task and multiplier, on the configurations that chance chose; empty where none was."""
    table = store.configurations().to_pandas()
    sample = table[table["drawn"] & table["predicted_prob"].notna()]
    return {
        str(task): agreements(
            own["multiplier"].to_numpy(),
            (own["amplified_prob"] - own["baseline_prob"]).to_numpy(),
            (own["predicted_prob"] - own["baseline_prob"]).to_numpy(),
        )
        for task, own in sample.groupby("task", sort=False)
    }


def screen_text(store: SweepStore) -> str:
    """What was measured, and where predictions held, in lines."""
    every = store.configurations(predicted=True)
    measured = store.configurations().num_rows
    lines = [f"measured {measured:,} of {every.num_rows:,}; the rest is predicted"]
    for task, found in store_agreements(store).items():
        failed = [f"x{own.multiplier:g} ({_spoken(own)})" for own in found if not own.held]
        said = f"predictions do not hold at {', '.join(failed)}" if failed else "predictions hold"
        lines.append(f"{task}: {said}")
    return "\n".join(lines)


def _spoken(own: Agreement) -> str:
    if own.rank_correlation is None:
        return f"{own.n} measured"
    return f"rank correlation {own.rank_correlation:.2f}"
