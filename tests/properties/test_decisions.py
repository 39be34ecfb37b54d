"""The order of requests and the size of batches decide nothing, but for ties at a threshold.

A confidence that lies within rounding of a boundary may fall to either side; such ties are counted
and none else may differ.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sna_eval.gating import Gate
from sna_eval.harness.values import evidence_of

TOLERANCE = 1e-5
PLAN = {"layer": 2, "neurons": "1;5;7", "multiplier": 3.0, "gate": "max_prob"}
BOUNDED = settings(max_examples=200, deadline=None, derandomize=True, database=None)


def requests(seed: int) -> list[Any]:
    """Twenty texts, two of them alike, in an order of their own."""
    from lm_eval.api.instance import Instance

    words = ["the", "cat", "sat", "on", "a", "mat", "while", "rain", "fell", "over", "town"]
    texts = [" ".join(words[(5 * n + 3 * k) % 11] for k in range(2 + n % 7)) for n in range(19)]
    made = [
        Instance("loglikelihood", {}, (text, " and so on"), number, metadata=("own", number, 1))
        for number, text in enumerate([*texts, texts[3]])
    ]
    random.Random(seed).shuffle(made)
    return made


def answers(lm: Any, seed: int) -> dict[int, tuple[float, Any]]:
    asked = requests(seed)
    got = lm.loglikelihood(asked, disable_tqdm=True)
    return {
        request.doc_id: (float(value), evidence_of(value))
        for request, (value, _) in zip(asked, got, strict=True)
    }


@pytest.fixture(scope="module")
def boundary(make_sna: Any) -> float:
    """The median confidence: half of the items open, and one lies on the boundary itself."""
    lm = make_sna(**{**PLAN, "low": 0.5, "high": 0.9})
    found = sorted(evidence.confidence for _, evidence in answers(lm, 0).values())
    return float(found[len(found) // 2])


@pytest.mark.parametrize(("batch_size", "seed"), [(1, 1), (3, 2), (8, 3), (20, 4)])
def test_order_and_batches(make_sna: Any, boundary: float, batch_size: int, seed: int) -> None:
    bounds = {"low": boundary, "high": 0.99}
    alone = answers(make_sna(**{**PLAN, **bounds}, batch_size=1), 0)
    other = answers(make_sna(**{**PLAN, **bounds}, batch_size=batch_size), seed)
    ties = 0
    for number, (value, evidence) in alone.items():
        again, found = other[number]
        assert found.baseline == pytest.approx(evidence.baseline, abs=TOLERANCE)
        assert found.confidence == pytest.approx(evidence.confidence, abs=TOLERANCE)
        if found.amplified == evidence.amplified:
            assert again == pytest.approx(value, abs=TOLERANCE)
        else:
            assert abs(evidence.confidence - boundary) <= TOLERANCE
            ties += 1
    assert ties <= 2  # the text on the boundary, and its double
    assert 5 < sum(evidence.amplified for _, evidence in alone.values()) < 15


def test_duplicates_are_answered_alike(make_sna: Any) -> None:
    found = answers(make_sna(**{**PLAN, "low": 0.5, "high": 0.9}), 0)
    (first, evidence), (second, again) = found[3], found[19]
    assert first == pytest.approx(second, abs=TOLERANCE)
    assert (evidence.zone, evidence.amplified) == (again.zone, again.amplified)


@BOUNDED
@given(
    low=st.floats(0, 1), width=st.floats(0, 1), first=st.floats(0, 1), second=st.floats(0, 1),
    transition=st.sampled_from(("leave", "amplify")),
)  # fmt: skip
def test_more_confidence_never_opens_a_gate(
    low: float, width: float, first: float, second: float, transition: Any
) -> None:
    gate = Gate("margin", low, low + width, transition)
    less, more = sorted((first, second))
    assert gate.zone(less) <= gate.zone(more)
    assert gate.opens(less) >= gate.opens(more)
    assert not (gate.zone(more) == 3 and gate.opens(more))
