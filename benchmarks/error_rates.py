"""How often each statistic finds what is not there, and what is: the table of docs/evidence.md.

    python benchmarks/error_rates.py                      # 1,000 repetitions, some four minutes
    python benchmarks/error_rates.py --repetitions 200 --only max-t,slope

Data are made up: twenty-four answers, of which items share one, as bundled tasks do. Under the null
nothing does anything; where an effect is planted its size is said. Each row has beside it what the
rule that it replaced finds in the same null. 5 % are promised.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit, logit
from tqdm import tqdm

from sna_eval.study.statistics import (
    GatedItems,
    baseline_slope,
    equivalence,
    fold_numbers,
    max_t_bounds,
    mcnemar,
    net_gain,
    paired_bootstrap,
    paired_permutation,
)

Floats = NDArray[np.float64]
ANSWERS, EACH = 24, 5
ITEMS = ANSWERS * EACH
CODES = np.repeat(np.arange(ANSWERS), EACH)
GRID = 100
DRAWS = 500
DOMAINS = np.repeat(np.arange(4), 3).tolist()


@dataclass(frozen=True)
class Case:
    """One statistic: whether it finds something in made-up data, with and without an effect."""

    name: str
    finds: Callable[[np.random.Generator, bool], bool]
    """From a generator and whether an effect is planted."""
    planted: str
    before: Callable[[np.random.Generator, bool], bool] | None = None
    """The rule that it replaced."""
    rule: str = ""


def changes(rng: np.random.Generator, rows: int = 1) -> Floats:
    """Effects that items of one answer share, and a little of their own: `[row, item]`."""
    shared = rng.normal(size=(rows, ANSWERS))[:, CODES]
    return shared + 0.7 * rng.normal(size=(rows, ITEMS))


def scores(rng: np.random.Generator, planted: bool) -> tuple[Floats, Floats]:
    before = rng.normal(size=ITEMS)
    return before, before + changes(rng)[0] + 0.8 * planted


def flips(rng: np.random.Generator, planted: bool) -> tuple[Floats, Floats]:
    """Right and wrong; what turns, turns for an answer."""
    before = (rng.random(ITEMS) < 0.5).astype(float)
    towards = rng.random(ANSWERS) < (0.85 if planted else 0.5)
    moved = rng.random(ITEMS) < 0.4
    return before, np.where(moved, towards[CODES], before).astype(float)


def test_of_means(rng: np.random.Generator, planted: bool) -> bool:
    return paired_permutation(*scores(rng, planted), clusters=CODES, draws=DRAWS) <= 0.05


def test_of_means_before(rng: np.random.Generator, planted: bool) -> bool:
    return paired_permutation(*scores(rng, planted), draws=DRAWS) <= 0.05


def interval(rng: np.random.Generator, planted: bool) -> bool:
    return 0 not in paired_bootstrap(*scores(rng, planted), clusters=CODES, draws=DRAWS)


def interval_before(rng: np.random.Generator, planted: bool) -> bool:
    return 0 not in paired_bootstrap(*scores(rng, planted), draws=DRAWS)


def test_of_flips(rng: np.random.Generator, planted: bool) -> bool:
    return paired_permutation(*flips(rng, planted), clusters=CODES, draws=DRAWS) <= 0.05


def test_of_flips_before(rng: np.random.Generator, planted: bool) -> bool:
    return mcnemar(*flips(rng, planted)).p <= 0.05


def no_larger(rng: np.random.Generator, planted: bool) -> bool:
    """The null is an effect of just the smallest size of interest; planted: none at all."""
    effects = changes(rng)[0] + (0.0 if planted else 0.8)
    return equivalence(effects, smallest=0.8, clusters=CODES).p <= 0.05


def no_larger_before(rng: np.random.Generator, planted: bool) -> bool:
    return equivalence(changes(rng)[0] + (0.0 if planted else 0.8), smallest=0.8).p <= 0.05


def grid(rng: np.random.Generator, planted: bool) -> Floats:
    """Configurations that resemble their neighbours; one in ten gains."""
    base = np.repeat(changes(rng, GRID // 10), 10, axis=0)
    effects = 0.9 * base + 0.45 * changes(rng, GRID)
    effects[:10] += 1.2 * planted
    return effects


def bound(rng: np.random.Generator, planted: bool) -> bool:
    return max_t_bounds(grid(rng, planted), clusters=CODES, draws=DRAWS).bounds.max() > 0


def bound_before(rng: np.random.Generator, planted: bool) -> bool:
    effects = grid(rng, planted)
    spread = effects.std(axis=1, ddof=1) / ITEMS**0.5
    return bool((effects.mean(axis=1) - stats.t.ppf(0.95, ITEMS - 1) * spread).max() > 0)


def gated(rng: np.random.Generator, planted: bool) -> GatedItems:
    """What a sweep's configurations win and lose; planted: one wins where the model is unsure."""
    effects, sure = changes(rng, 30), rng.random(ITEMS)
    if planted:
        effects[0] += np.where(sure < 0.5, 2.0, 0.0)
    gains = np.where(effects > 0.8, 1.0, np.where(effects < -0.8, -1.0, 0.0))
    return GatedItems(sure, gains, effects, CODES)


def gate(rng: np.random.Generator, planted: bool) -> bool:
    return net_gain([gated(rng, planted)]).low > 0


def gate_before(rng: np.random.Generator, planted: bool) -> bool:
    """Kept where Youden's J of its cuts is above 0 on items left out, losses not counted."""
    items = gated(rng, planted)
    gained = items.gains[int(items.effects.mean(axis=1).argmax())] > 0
    part = np.arange(ITEMS) % 5
    below = np.zeros(ITEMS, dtype=bool)
    for fold in range(5):
        rest = part != fold
        cuts = np.sort(items.confidence[rest])
        j = [_youden(items.confidence[rest] < cut, gained[rest]) for cut in cuts]
        below[~rest] = items.confidence[~rest] < cuts[int(np.argmax(j))]
    return _youden(below, gained) > 0


def _youden(below: NDArray[np.bool_], gained: NDArray[np.bool_]) -> float:
    return float(below[gained].mean() - below[~gained].mean())


def tasks(rng: np.random.Generator, planted: bool) -> tuple[Floats, Floats]:
    """Twelve tasks' baselines and changes in log-odds, three to a domain."""
    baseline = rng.normal(-2, 1.5, size=12)
    change = 0.5 * np.repeat(rng.normal(size=4), 3) + 0.4 * rng.normal(size=12)
    return baseline, change - 0.6 * planted * baseline


def slope(rng: np.random.Generator, planted: bool) -> bool:
    return baseline_slope(*tasks(rng, planted), DOMAINS).p <= 0.05


def correlation_before(rng: np.random.Generator, planted: bool) -> bool:
    """Pearson's of the baseline with the best improvement of twelve configurations in percent."""
    baseline = expit(rng.normal(-2, 1.5, size=12))
    after = expit(logit(baseline) + 0.4 * rng.normal(size=(12, 12)).max(axis=0))
    found = stats.spearmanr(baseline, (after - baseline) / baseline)
    return bool(found.statistic < 0 and found.pvalue <= 0.05)


CASES = (
    Case("test of means", test_of_means, "0.8 of a standard deviation", test_of_means_before,
         "items exchanged one by one"),
    Case("interval of a mean", interval, "0.8", interval_before, "items drawn one by one"),
    Case("test of right and wrong", test_of_flips, "85 % of answers rise", test_of_flips_before,
         "McNemar's"),
    Case("equivalence", no_larger, "no effect at all", no_larger_before, "items independent"),
    Case("max-t bound of the best of 100", bound, "1.2 in a tenth of the grid", bound_before,
         "Student's bound of the best"),
    Case("gate by net gain", gate, "2 below the median confidence", gate_before,
         "Youden's J held out"),
    Case("slope on the baseline", slope, "-0.6 per log-odds", correlation_before,
         "Spearman's of the percentage"),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=1_000)
    parser.add_argument("--only", default="", help="parts of names, comma-separated")
    args = parser.parse_args()
    wanted = [part for part in args.only.split(",") if part]
    chosen = [case for case in CASES if not wanted or any(part in case.name for part in wanted)]
    assert len(set(fold_numbers(CODES, 5).tolist())) == 5
    print("| statistic | nothing there | planted | found | before: | nothing there |")
    print("|---|---|---|---|---|---|")
    for case in chosen:
        print(_line(case, args.repetitions), flush=True)


def _line(case: Case, repetitions: int) -> str:
    null = _rate(case.finds, range(repetitions), planted=False, name=case.name)
    power = _rate(case.finds, range(repetitions // 4), planted=True, name=f"{case.name}, planted")
    before = case.before
    rate = (
        ""
        if before is None
        else f"{_rate(before, range(repetitions), planted=False, name=case.rule):.1%}"
    )
    margin = 1.96 * (0.05 * 0.95 / repetitions) ** 0.5
    mark = "" if null <= 0.05 + margin else " (!)"
    return (
        f"| {case.name} | {null:.1%}{mark} | {case.planted} | {power:.0%} | {case.rule} | {rate} |"
    )


def _rate(
    finds: Callable[[np.random.Generator, bool], bool],
    seeds: Sequence[int],
    *,
    planted: bool,
    name: str,
) -> float:
    found = [
        finds(np.random.default_rng([seed, planted]), planted)
        for seed in tqdm(seeds, desc=name, leave=False)
    ]
    return float(np.mean(found))


if __name__ == "__main__":
    main()
