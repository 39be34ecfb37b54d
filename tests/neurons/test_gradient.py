"""The ranking by slope, against finite differences of plainly amplified models."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from sna_eval.errors import InputError
from sna_eval.intervention import Intervention, Row, Unit, amplify, find_sites
from sna_eval.neurons import Examples, Question, Search, SearchConfig, Workbench
from sna_eval.neurons.attribution import RIVALS, gradient_scores
from tests.conftest import VOCABULARY, build_model
from tests.neurons.answered import log_prob, rows

STEP = 1e-3
"""A multiplier of 1.001 on one neuron, and one of 0.999."""
QUESTIONS = (
    Question("a warm film and", (" good", " bad"), 0),
    Question("two hours I want", (" back then", " more", " it to end"), 2),
    Question("never", (" a day", " a day", " again"), 1),
    Question("the cast is fine", (" and good",), 0),
)
EXAMPLES = Examples(tuple(q.context for q in QUESTIONS), questions=QUESTIONS)


def bench_of(name: str, tokenizer: Any) -> Workbench:
    model = build_model(name, vocab_size=VOCABULARY, max_position_embeddings=256).double()
    return Workbench(model, find_sites(model), lambda text: tokenizer.encode(text))


def log_odds(bench: Workbench, question: Question) -> float:
    """Of the right answer against the item's other choices, by plain passes of this test's own."""
    context = tuple(bench.encode(question.context))

    def of(text: str) -> float:
        both = tuple(bench.encode(question.context + text))
        return log_prob(bench.model, Row(context, (both[len(context) :],)))

    rivals = [of(text) for text in dict.fromkeys(question.choices) if text != question.answer]
    right = of(question.answer)
    return right - math.log(sum(map(math.exp, rivals))) if rivals else right


def difference(bench: Workbench, layer: int, index: int, unit: Unit = "mlp") -> float:
    """`d L / d m`, by central differences."""
    ends = []
    for multiplier in (1 + STEP, 1 - STEP):
        with amplify(bench.model, [Intervention(layer, (index,), multiplier, unit=unit)]):
            ends.append(sum(log_odds(bench, question) for question in QUESTIONS) / len(QUESTIONS))
    return (ends[0] - ends[1]) / (2 * STEP)


@pytest.mark.parametrize("unit", ["mlp", "head"])
@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma3_text", "gpt_neox"])
def test_equals_finite_differences(name: str, unit: Unit, word_tokenizer: Any) -> None:
    """Norms that compute in float32, whatever the model's dtype, leave noise of some 1e-5."""
    bench = bench_of(name, word_tokenizer)
    search = Search(bench, EXAMPLES, SearchConfig("gradient", unit=unit), [1, 3])
    for layer in (1, 3):
        found = search.best(layer, 4).selected[""]
        last = search.last(layer, 2).selected[""]
        assert list(found.scores) == sorted(found.scores, reverse=True)
        for index, score in zip(found.neurons + last.neurons, found.scores + last.scores,
                                strict=True):  # fmt: skip
            slope = difference(bench, layer, index, unit)
            assert score == pytest.approx(slope, rel=2e-3, abs=3e-4)
        assert found.scores[0] > 1e-3


def test_rows_alone_are_log_probabilities() -> None:
    """Of an item without other choices."""
    model = build_model("gpt2").double()
    found = gradient_scores(model, find_sites(model), [[row] for row in rows()], layers=[2])[2]
    for neuron in (3, 50):
        ends = []
        for multiplier in (1 + STEP, 1 - STEP):
            with amplify(model, [Intervention(2, (neuron,), multiplier)]):
                ends.append(sum(log_prob(model, row) for row in rows()) / len(rows()))
        slope = (ends[0] - ends[1]) / (2 * STEP)
        assert float(found[neuron]) == pytest.approx(slope, rel=1e-4, abs=1e-7)


def test_the_likeliest_rivals_count() -> None:
    model = build_model("gpt2")
    sites = find_sites(model)
    context = (5, 6, 7)
    choices = [Row(context, ((token,),)) for token in range(10, 20)]
    by_likelihood = sorted(choices[1:], key=lambda row: -log_prob(model, row))
    few = [choices[0], *(row for row in choices if row in by_likelihood[:RIVALS])]
    whole, part = (gradient_scores(model, sites, [one], layers=[1])[1] for one in (choices, few))
    assert torch.equal(whole, part)
    wrong = gradient_scores(model, sites, [[choices[0], *by_likelihood[-RIVALS:]]], layers=[1])[1]
    assert not torch.allclose(whole, wrong, rtol=1e-3)


def test_other_choices_are_another_search(word_tokenizer: Any) -> None:
    bench = bench_of("gpt2", word_tokenizer)
    changed = replace(QUESTIONS[0], choices=(" good", " dull"))
    other = replace(EXAMPLES, questions=(changed, *QUESTIONS[1:]))
    first, second = (
        Search(bench, one, SearchConfig("gradient"), [1]).record(2) for one in (EXAMPLES, other)
    )
    assert first["answer_hash"] != second["answer_hash"]
    assert (first["sinks"], first["n_answers"]) == ("keep", len(QUESTIONS))
    assert "pooling" not in first


def test_refuses_what_it_cannot_rank_on(word_tokenizer: Any) -> None:
    bench = bench_of("gpt2", word_tokenizer)
    with pytest.raises(InputError, match="scored by log-likelihood for `gradient`"):
        Search(bench, Examples(("a day",)), SearchConfig("gradient"), [1]).best(1, 2)
    with torch.no_grad():
        bench.model.transformer.h[1].mlp.c_proj.weight[:9] = torch.inf  # type: ignore[union-attr]
    with pytest.raises(InputError, match=r"select\.method: expected finite gradients, got .*bfloa"):
        Search(bench, EXAMPLES, SearchConfig("gradient"), [1]).best(1, 2)
