"""Circuits that the whole chain can find, so that how often it does is worth counting.

The power that `register` states is that of the test, once the search has found what is there. On
other halves of the development items a search may go elsewhere. So every circuit is planted and
searched for on `SPLITS` other halves, with a few random rankings each. Its *chance* is the mean,
over these, of the share of tests that would show what the search gained. Repetitions use halves of
their own: the chance predicts what they count.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binom
from tqdm import tqdm

from sna_eval.harness.loading import load_lm, model_arguments, typed_arguments
from sna_eval.measuring.values import Floats
from sna_eval.study.nulls.searching import run_search
from sna_eval.study.nulls.task_search import TaskSearch
from sna_eval.study.verdict.planted import Circuit, circuits, weakened
from sna_eval.study.verdict.power import WANTED, allowed
from sna_eval.study.verdict.registering import (
    RegisterOptions,
    asked_tasks,
    draws_of,
    register,
    registered_gate,
)

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM

CANDIDATES = 4
"""Circuits that are planted to see whether they are found, at most."""
SPLITS = 8
_RANKINGS = 4  # random ones beside the claim on each split
_APART = 1_000  # seeds of the splits, apart from those of repetitions


def findable(lm: SNALM, asked: RegisterOptions, *, quiet: bool = False) -> Circuit:
    """The first one of a task that the chain shows in 80 % of repetitions, and that is worth what a
    registration of its own copy says is shown in 80 % of tests; where none is both, the one with
    the best chance."""
    tried: list[Circuit] = []
    candidates = circuits(chain(lm, asked))[:CANDIDATES]
    for circuit in tqdm(candidates, desc="Circuits", unit="circuit", leave=False, disable=quiet):
        with planted(lm, asked, circuit) as (copy, there):
            chance = _chance(copy, there, quiet=quiet)
            tried.append(replace(circuit, chance=chance))
            if chance < WANTED:
                continue
            (registered,) = register(copy, there, quiet=quiet).tasks.values()
        least = registered.power.detectable
        tried[-1] = replace(tried[-1], detectable=least)
        if least is not None and circuit.effect >= least:
            return tried[-1]
    return max(tried, key=lambda circuit: circuit.chance or 0.0)


def _chance(copy: SNALM, asked: RegisterOptions, *, quiet: bool) -> float:
    """That H1 is shown on a copy, over other halves of the development items: over as many of them
    as it takes to see that it is less than is wanted."""
    claims: list[float] = []
    nulls: list[Floats] = []
    missed = 0
    for split in range(SPLITS):
        here = replace(asked.search, seed=_APART + split)
        search = chain(copy, replace(asked, search=here, draws=_RANKINGS))
        null = run_search(search, quiet=quiet)
        claims.append(null.claim.gain)
        nulls.append(null.null_gains)
        missed += null.claim.gain <= null.null_gains.max()
        if missed > SPLITS * (1 - WANTED):
            break
    return predicted_share(
        np.array(claims), np.stack(nulls), draws=draws_of(asked, 1), level=asked.limits.alpha
    )


def predicted_share(claims: Floats, nulls: Floats, *, draws: int, level: float) -> float:
    """Share of tests that will show a claim, by what some searches found.

    Random rankings of a search lie around their mean as those of all searches around theirs;
    nothing is said of the shape, which is rarely a normal one.

    **Arguments:**

    - `claims`: gain of each search's claim, `[search]`.
    - `nulls`: gains of its random rankings, `[search, ranking]`.
    - `draws`: random rankings that a test has.
    - `level`: largest p-value that counts.
    """
    usual = nulls.mean(axis=1, keepdims=True)
    few = nulls.shape[1]
    apart = (nulls - usual).ravel() * math.sqrt(few / max(few - 1, 1))
    as_large = (apart[None] >= (claims[:, None] - usual)).mean(axis=1)  # [search]
    return float(binom.cdf(allowed(draws, level), draws, as_large).mean())


def chain(lm: SNALM, asked: RegisterOptions) -> TaskSearch:
    """The search that a verdict makes once one task is registered so."""
    ((name, task),) = asked_tasks(asked).items()
    gate = registered_gate(lm, name, task, asked).gate()
    search = replace(asked.search, draws=draws_of(asked, 1))
    return TaskSearch(lm, name, task, search.options(gate))


@contextmanager
def planted(
    lm: SNALM, asked: RegisterOptions, circuit: Circuit
) -> Iterator[tuple[SNALM, RegisterOptions]]:
    """The weakened copy, and what is asked of it."""
    with weakened(lm, circuit) as folder:
        arguments = {**model_arguments(asked.model_args), "pretrained": str(folder)}
        typed = typed_arguments(arguments)
        yield load_lm(typed, gate="never"), replace(asked, model_args=typed)
