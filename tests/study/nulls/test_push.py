"""Multipliers of equal push, on divergences that are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from sna_eval.intervention import Intervention
from sna_eval.study.nulls.push import FARTHEST, ROUNDS, equal_push


def _divergence(shape: Callable[[float], float]) -> Callable[[Sequence[Intervention]], np.ndarray]:
    return lambda sets: np.array([shape(scaled.multiplier - 1.0) for scaled in sets])


@pytest.mark.parametrize(
    "shape",
    [
        lambda x: 0.003 * x**2,
        lambda x: 0.003 * x**2 / (1 + 0.02 * x**2),
        lambda x: 0.001 * abs(x) ** 3,
        lambda x: 0.2 * (x > 3) + 0.001 * x**2,
    ],
)
def test_finds_the_multiplier(shape: Callable[[float], float]) -> None:
    start = Intervention(0, (1, 2), 1.5)
    (found,) = equal_push([start], [shape(0.5)], [0.02], _divergence(shape))
    if found.reached:
        assert shape(found.intervention.multiplier - 1.0) == pytest.approx(0.02, rel=0.06)
    else:  # a step that jumps over what is wanted
        assert found.intervention.multiplier - 1.0 == pytest.approx(3.0, abs=1.0)


def test_below_one_stays_below_one() -> None:
    shape = _divergence(lambda x: 0.03 * x**2)
    (found,) = equal_push([Intervention(0, (1,), 0.5)], [0.0075], [0.015], shape)
    assert found.reached
    assert 0.0 <= found.intervention.multiplier < 0.5
    (far,) = equal_push([Intervention(0, (1,), 0.5)], [0.0075], [1.0], shape)
    assert not far.reached
    assert far.intervention.multiplier == 0.0


def test_out_of_reach_is_said() -> None:
    shape = _divergence(lambda x: 0.01 * (1 - np.exp(-x)))
    tried: list[float] = []

    def counted(sets: Sequence[Intervention]) -> np.ndarray:
        tried.extend(scaled.multiplier for scaled in sets)
        return shape(sets)

    (found,) = equal_push([Intervention(0, (1,), 2.0)], [0.0063], [0.5], counted)
    assert not found.reached
    assert found.kl < found.wanted
    assert max(tried) <= 1 + FARTHEST
    assert len(tried) < ROUNDS


def test_what_is_settled_is_not_asked_again() -> None:
    shape = _divergence(lambda x: 0.01 * x**2)
    asked: list[int] = []

    def counted(sets: Sequence[Intervention]) -> np.ndarray:
        asked.append(len(sets))
        return shape(sets)

    sets = [Intervention(0, (1,), 2.0), Intervention(0, (2,), 2.0), Intervention(0, (), 2.0)]
    found = equal_push(sets, [0.01, 0.01, 0.0], [0.01, 0.02, 0.02], counted)
    assert [pushed.reached for pushed in found] == [True, True, False]
    assert set(asked) == {1}
