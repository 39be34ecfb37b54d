"""What the chain is predicted to show, and which circuits are planted for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sna_eval.study.verdict import RegisterOptions, findable
from sna_eval.study.verdict.findable import chain, predicted_share
from sna_eval.study.verdict.planted import Circuit
from sna_eval.study.verdict.power import allowed


@pytest.mark.parametrize(
    ("draws", "level", "expected"), [(19, 0.05, 0), (99, 0.05, 4), (99, 0.01, 0), (18, 0.05, -1)]
)
def test_how_many_random_rankings_may_be_as_good(draws: int, level: float, expected: int) -> None:
    assert allowed(draws, level) == expected


def test_a_share_by_hand() -> None:
    """Random rankings lie 1 below or above their mean, times the square root of 2: of two
    searches, one's claim is above all, the other's below the upper half."""
    claims, nulls = np.array([10.0, 1.2]), np.array([[4.0, 6.0], [-1.0, 1.0]])
    found = predicted_share(claims, nulls, draws=19, level=0.05)
    assert found == pytest.approx((1.0 + 0.5**19) / 2)
    assert predicted_share(claims, nulls, draws=18, level=0.05) == 0.0


def test_a_share_is_how_often_tests_show_the_claim() -> None:
    """Against tests that are made, with random rankings that are far from normal."""
    generator = np.random.default_rng(5)

    def draw(*shape: int) -> Any:
        return -generator.exponential(1.0, shape)

    claims, n = np.array([-0.05, -0.2, -1.0]), 20_000
    predicted = predicted_share(claims, draw(3, 20_000), draws=39, level=0.05)
    shown = [((draw(n, 39) >= claim).sum(axis=1) <= 1).mean() for claim in claims]
    assert predicted == pytest.approx(np.mean(shown), abs=0.02)


def _circuit(layer: int, effect: float) -> Circuit:
    return Circuit(layer, (1, 2), 3.0, effect)


@pytest.mark.parametrize(
    ("chances", "detectable", "expected"),
    [
        ([0.9, 0.95, 0.9, 0.9], 0.2, 0),
        ([0.5, 0.7, 0.85, 0.95], 0.2, 2),
        ([0.9, 0.95, 0.9, 0.9], 0.85, 0),
        ([0.9, 0.95, 0.9, 0.9], 5.0, 1),
        ([0.1, 0.3, 0.2, 0.2], 0.2, 1),
    ],
)
def test_which_circuit_is_planted(
    chances: list[float], detectable: float, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first that is likely to be shown and worth enough, else the likeliest one."""
    asked: Any = RegisterOptions(tasks=("any",), model_args="")
    every = [_circuit(layer, 1.0 - layer / 10) for layer in range(4)]
    tried: Iterator[float] = iter(chances)

    @contextmanager
    def planted(lm: Any, asked: Any, circuit: Circuit) -> Iterator[tuple[Any, Any]]:
        yield lm, asked

    power = SimpleNamespace(power=SimpleNamespace(detectable=detectable))
    monkeypatch.setattr(findable, "chain", lambda lm, asked: None)
    monkeypatch.setattr(findable, "circuits", lambda search: every)
    monkeypatch.setattr(findable, "planted", planted)
    monkeypatch.setattr(findable, "_chance", lambda copy, asked, quiet: next(tried))
    monkeypatch.setattr(
        findable, "register", lambda *_, **__: SimpleNamespace(tasks={"any": power})
    )
    nothing: Any = None
    found = findable.findable(nothing, asked, quiet=True)
    assert (found.layer, found.chance) == (expected, chances[expected])


@pytest.mark.parametrize(
    ("claims", "searched"), [([9.0] * 8, 8), ([9.0, 0.5, 0.5, *[9.0] * 5], 3), ([0.5] * 8, 2)]
)
def test_no_more_is_searched_than_it_takes(
    claims: list[float], searched: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of eight that random rankings equal are too many for 80 %."""
    asked: Any = RegisterOptions(tasks=("any",), model_args="", draws=19)
    seeds: list[int] = []

    def found(search: Any, quiet: bool) -> Any:
        claim = SimpleNamespace(gain=claims[len(seeds) - 1])
        return SimpleNamespace(claim=claim, null_gains=np.array([0.0, 1.0]))

    def chained(lm: Any, asked: RegisterOptions) -> None:
        seeds.append(asked.search.seed)

    monkeypatch.setattr(findable, "chain", chained)
    monkeypatch.setattr(findable, "run_search", found)
    nothing: Any = None
    chance = findable._chance(nothing, asked, quiet=True)
    assert len(seeds) == len(set(seeds)) == searched
    assert (chance > 0.8) == (searched == 8)


def test_the_chain_is_the_registered_search(lm: Any, asked: Callable[..., RegisterOptions]) -> None:
    """As many draws, the same halves, zones and grid as a verdict on the registration has."""
    from sna_eval.study.verdict import register

    wanted = asked()
    registration = register(lm, wanted, quiet=True)
    (registered,) = registration.tasks.values()
    options = registration.search.options(registered.gate.gate())
    assert chain(lm, wanted).options == options


def test_a_ranking_of_all_items_changes_no_search(
    lm: Any, asked: Callable[..., RegisterOptions]
) -> None:
    search, other = chain(lm, asked()), chain(lm, asked())
    every = search.ranked_on_all()
    assert set(every) == set(search.grid.layers)
    assert search.claimed == other.claimed
    assert every != search.claimed
