"""What other code does to answers: calculate, copy, send, or build a value of the same type."""

from __future__ import annotations

import copy
import decimal
import json
import math
import pickle
import statistics
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sna_eval.gating import Decision
from sna_eval.harness.values import Evidence, GeneratedText, Score

EVIDENCE = Evidence(-2.0, False, 1, 0.05, True, True)
SCORES = [Score(-1.5, EVIDENCE), Score(-0.25, EVIDENCE), Score(-3.0, EVIDENCE)]
NUMBERS = [float(score) for score in SCORES]
DECISION = Decision(1, 0.2, True)
TEXT = GeneratedText(" So it goes.\n", decision=DECISION)

OF_ONE: dict[str, Callable[[Any], Any]] = {
    "its type": lambda x: type(x)(x),
    "its type, of another number": lambda x: type(x)(3),
    "its type, of a text": lambda x: type(x)("-2.5"),
    "its type, of a fraction": lambda x: type(x)(Fraction(1, 3)),
    "its type, of nothing": lambda x: type(x)(),
    "its class's reading of bits": lambda x: type(x).fromhex(x.hex()),
    "negative": lambda x: -x,
    "rounded": lambda x: round(x, 1),
    "real": lambda x: x.real,
    "ratio": lambda x: Fraction(x) / 2,
    "decimal": decimal.Decimal,
    "exponential": math.exp,
    "array": lambda x: np.array([x]).tolist(),
    "array of its type": lambda x: np.float32(x).item(),
    "json": lambda x: json.loads(json.dumps({"x": x})),
}
OF_MANY: dict[str, Callable[[Any], Any]] = {
    "mean": statistics.mean,
    "fmean": statistics.fmean,
    "variance": statistics.variance,
    "median of two": lambda xs: statistics.median(xs[:2]),
    "quantiles": statistics.quantiles,
    "linear fit": lambda xs: statistics.linear_regression(xs, range(len(xs))).slope,
    "sum": sum,
    "fsum": math.fsum,
    "with others": lambda xs: statistics.mean([*xs, 2, Fraction(1, 2)]),
    "softmax": lambda xs: (np.exp(xs) / np.exp(xs).sum()).tolist(),
    "argmax": lambda xs: int(np.argmax(xs)),
    "series": lambda xs: pd.Series(xs).describe().to_dict(),
    "frame": lambda xs: pd.DataFrame({"x": xs, "y": [1, 1, 2]}).groupby("y")["x"].mean().tolist(),
}


def plain(value: Any) -> Any:
    """Types all the way down."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return type(value)


@pytest.mark.parametrize("name", OF_ONE)
def test_one_number_gives_what_a_plain_one_gives(name: str) -> None:
    for score, number in zip(SCORES, NUMBERS, strict=True):
        found, expected = OF_ONE[name](score), OF_ONE[name](number)
        assert found == expected
        assert plain(found) == plain(expected)


@pytest.mark.parametrize("name", OF_MANY)
def test_many_numbers_give_what_plain_ones_give(name: str) -> None:
    found, expected = OF_MANY[name](SCORES), OF_MANY[name](NUMBERS)
    assert found == expected
    assert plain(found) == plain(expected)


def test_columns_of_numbers_are_columns_of_floats() -> None:
    assert pd.Series(SCORES).dtype == np.array(SCORES).dtype == np.float64


CARRIED: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deep copy": copy.deepcopy,
    **{
        f"pickle {number}": lambda x, number=number: pickle.loads(pickle.dumps(x, number))
        for number in range(pickle.HIGHEST_PROTOCOL + 1)
    },
    "inside others": lambda x: copy.deepcopy({"answers": [(x, True)]})["answers"][0][0],
}


@pytest.mark.parametrize("name", CARRIED)
def test_the_answer_itself_keeps_what_it_carries(name: str) -> None:
    number, text = CARRIED[name](SCORES[0]), CARRIED[name](TEXT)
    assert (number, type(number), number.evidence) == (-1.5, Score, EVIDENCE)
    assert (text, type(text), text.decision) == (str(TEXT), GeneratedText, DECISION)


TEXTS: dict[str, Callable[[Any], Any]] = {
    "its type": lambda x: type(x)(x),
    "its type, of a number": lambda x: type(x)(42),
    "its type, of bytes": lambda x: type(x)(b"caf\xc3\xa9", "utf-8"),
    "its type, of nothing": lambda x: type(x)(),
    "stripped": lambda x: x.strip(),
    "cut": lambda x: x[:4],
    "joined": lambda x: "".join([x, x]),
    "formatted": lambda x: f"{x:>20}",
    "array": lambda x: np.array([x, x]).tolist(),
    "series": lambda x: pd.Series([x, x]).str.lower().tolist(),
    "json": lambda x: json.loads(json.dumps([x])),
    "template": lambda x: "%s" % x,  # noqa: UP031
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_gives_what_a_plain_one_gives(name: str) -> None:
    found, expected = TEXTS[name](TEXT), TEXTS[name](str(TEXT))
    assert found == expected
    assert plain(found) == plain(expected)
