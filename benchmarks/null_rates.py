"""How often a placebo passes: random rankings as the claim, the whole search repeated.

    python benchmarks/null_rates.py [--model MODEL] [--tasks A,B,C] [--repeats N] [--given]

Every repeat takes one more random ranking as the claim and gives it `--draws` further random
rankings as its null; both search the same development items, and are tested on the same items. If
p means what it says, a share of 5 % of the repeats has p <= 0.05. Printed: that share with the 95 %
interval of Clopper and Pearson (1934), for a searched claim (`verdict`), and for the same claim as
a plan that is given (`interference`, `methods`). Ends with status 1 where an interval lies above
0.05.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from scipy.stats import binomtest
from tqdm import tqdm

from sna_eval.argument_lists import parse_layers
from sna_eval.gating import Gate
from sna_eval.harness.loading import load_lm, load_tasks
from sna_eval.intervention import Intervention
from sna_eval.study.nulls import NullOptions
from sna_eval.study.nulls.plan_search import PlanSearch
from sna_eval.study.nulls.rankings import Ranking
from sna_eval.study.nulls.records import CLAIM, Found, rank_p
from sna_eval.study.nulls.task_search import TaskSearch

TASKS = "sna_math_easy,sna_poetry_medium,sna_logic_hard"
LEVEL = 0.05
_CLAIMS = 10**9  # draws that claims are taken from, apart from those of nulls


def p_searched(search: TaskSearch, repeats: int) -> Iterator[tuple[float, Found]]:
    """Of every repeat: p of a placebo claim, and what its search came to."""
    for repeat in range(repeats):
        search.__dict__["claimed"] = search.rankings.random(search.profile, _CLAIMS + repeat)
        search.__dict__.pop("levels", None)
        rankings = {CLAIM: search.claimed, **_drawn(search, repeat)}
        claim, *nulls = search.search_all(rankings)
        yield rank_p(claim.gain, np.array([null.gain for null in nulls])), claim


def p_given(given: PlanSearch, claims: Sequence[Found]) -> Iterator[float]:
    """The same claims as plans that are given."""
    for repeat, found in enumerate(claims):
        (neurons,) = found.neurons.values()
        given.together = (Intervention(found.layer, neurons, found.multiplier),)
        for name in ("levels", "_pushed_by_plan"):
            given.__dict__.pop(name, None)
        nulls = given.search_all(_drawn(given, repeat))
        yield rank_p(given.claim().gain, np.array([null.gain for null in nulls]))


def _drawn(search: TaskSearch, repeat: int) -> dict[int, Ranking]:
    """A repeat's own random rankings."""
    draws = search.options.draws
    numbers = range(repeat * draws, (repeat + 1) * draws)
    return {draw: search.rankings.random(search.profile, draw) for draw in numbers}


def _shared(search: TaskSearch, given: PlanSearch) -> None:
    """Both measure on the same items with the same passes: found once."""
    for name in ("rankings", "passes", "choosing", "test_items", "test", "slopes", "profile"):
        given.__dict__[name] = getattr(search, name)


def _row(name: str, gate: str, way: str, found: list[float]) -> tuple[str, bool]:
    below = sum(p <= LEVEL for p in found)
    interval = binomtest(below, len(found)).proportion_ci(0.95)
    row = (
        f"| {name} | {gate} | {way} | {len(found)} | {below / len(found):.3f} | "
        f"{interval.low:.3f} to {interval.high:.3f} |"
    )
    return row, bool(interval.low > LEVEL)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="sna-reference")
    parser.add_argument("--tasks", default=TASKS)
    parser.add_argument("--given", action="store_true", help="as plans that are given, too")
    parser.add_argument("--gates", default="none,max_prob")
    parser.add_argument("--layers", help="such as 1,4,6; default: all")
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--draws", type=int, default=19, help="19 is the fewest for p <= 0.05")
    parser.add_argument("--measured", type=int, default=6)
    parser.add_argument("--development_limit", type=int, default=40)
    parser.add_argument("--limit", type=int, default=60)
    args = parser.parse_args()
    lm = load_lm(f"pretrained={args.model}", gate="never")
    failed, rows, started = False, [], time.monotonic()
    for name, task in load_tasks(args.tasks.split(",")).items():
        for words in args.gates.split(","):
            gate = Gate(mode="always") if words == "none" else _middle(lm, name, task)
            options = NullOptions(
                gate=gate, draws=args.draws, measured=args.measured, limit=args.limit,
                development_limit=args.development_limit, select="random",
                layers=parse_layers(args.layers),
            )  # fmt: skip
            search, given = (
                TaskSearch(lm, name, task, options), PlanSearch(lm, name, task, options, ()),
            )  # fmt: skip
            _shared(search, given)
            progress = partial(tqdm, total=args.repeats, desc=f"{name} {words}")
            pairs = list(progress(p_searched(search, args.repeats)))
            ways = {"searched": [p for p, _ in pairs]}
            if args.given:
                ways["given"] = list(progress(p_given(given, [claim for _, claim in pairs])))
            for way, found in ways.items():
                row, above = _row(name, words, way, found)
                rows.append(row)
                failed |= above
                print(row, flush=True)
    print(f"\n{time.monotonic() - started:.0f} s\n")
    print("| task | gate | claim | repeats | p <= 0.05 | 95 % |")
    print("|---|---|---|---:|---:|---:|")
    print(*rows, sep="\n")
    return int(failed)


def _middle(lm: Any, name: str, task: Any) -> Gate:
    """A gate on the likeliest token that opens for the less sure half of the items."""
    options = NullOptions(gate=Gate("max_prob", 1.0, 1.0), draws=1, limit=60)
    confidence = TaskSearch(lm, name, task, options).test.record().confidence
    low = float(np.median(confidence))
    return Gate("max_prob", low, low)


if __name__ == "__main__":
    sys.exit(main())
