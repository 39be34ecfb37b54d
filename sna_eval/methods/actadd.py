"""Activation addition: the difference of one pair of prompts, added at the front of every text.

Source: Turner et al. (2023), arXiv:2308.10248, section 3: `h(positive) - h(negative)`, token by
token after padding the shorter prompt with spaces on the right, times a coefficient, is added to
the residual stream at the first positions of a prompt. The paper counts layers by what enters
them; here the sum happens as the stream leaves block `layer`, the entry of block `layer + 1`.
Tokens that a text does not have, and tokens behind its context, are left alone.

Without a `pair` in the plan it is the first development prompt with its answer, where there is one,
against the first neutral sentence: task against neutral text, as in the paper's topic vectors.
"""

from __future__ import annotations

from typing import Any

from sna_eval.errors import InputError
from sna_eval.intervention import Addition, Affine, Vector
from sna_eval.intervention.rows import Tokens
from sna_eval.methods.method import Examples, Fitted, Method, MethodConfig, Resolution, Workbench
from sna_eval.methods.states import residual_states
from sna_eval.neurons import neutral_sentences

_TOKEN = "token_{:03d}"


def find(bench: Workbench, examples: Examples, wanted: MethodConfig) -> Resolution:
    """One vector for every token of the longer prompt."""
    positive, negative = _pair(wanted.options["pair"], examples)
    rows = _padded(bench, positive, negative)
    first, second = residual_states(bench, rows, wanted.layer)
    return Resolution(
        parameters={
            _TOKEN.format(n): Vector(difference) for n, difference in enumerate(first - second)
        },
        remarks={"pair": [positive, negative]},
    )


def build(fitted: Fitted) -> tuple[Affine, ...]:
    """One addition for every token."""
    count = max(1, len(fitted.parameters))  # as many names as parameters: none is left over
    return tuple(
        Addition(fitted.layer, fitted.vector(_TOKEN.format(n)), fitted.strength, token=n)
        for n in range(count)
    )


def _pair(given: Any, examples: Examples) -> tuple[str, str]:
    if given is None:
        return _first(examples), neutral_sentences()[0]
    if not isinstance(given, list) or len(given) != 2 or not all(isinstance(t, str) for t in given):
        raise InputError("options.pair", expected="two texts, positive and negative", got=given)
    if given[0] == given[1]:
        raise InputError("options.pair", expected="two different texts", got=given)
    return given[0], given[1]


def _first(examples: Examples) -> str:
    """The first item's prompt, with its answer where it is held against one."""
    if not examples.questions and examples.prompts:
        return examples.prompts[0]
    first = examples.answered()[0]
    return first.context + first.answer


def _padded(bench: Workbench, positive: str, negative: str) -> tuple[Tokens, Tokens]:
    """Both prompts' tokens as far as the model reads them, the shorter filled up with spaces."""
    rows = [tuple(bench.clipped(bench.encode(text))) for text in (positive, negative)]
    space = tuple(bench.encode(" "))[-1:]
    width = max(map(len, rows))
    if not space:
        raise InputError("pretrained", expected="a tokenizer with a token for a space", got="none")
    first, second = (row + space * (width - len(row)) for row in rows)
    return first, second


METHOD = Method("actadd", find, build, options={"pair": None}, fixed_positions=True)
