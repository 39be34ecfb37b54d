"""Steering vectors against transformers' own hidden states and NumPy."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch

from sna_eval.errors import InputError
from sna_eval.intervention import Addition, amplify
from sna_eval.methods import METHODS, Examples, Fitted, Question, Workbench
from sna_eval.methods.repe import first_component
from sna_eval.neurons import neutral_sentences
from tests.methods.conftest import LAYER, examples, hidden, wanted

CLOSE = {"atol": 1e-5, "rtol": 0}


def pairs(bench: Workbench, given: Examples, wrong: list[str]) -> torch.Tensor:
    """Right minus wrong at the last token, text by text: `[item, d_model]`."""
    return torch.stack(
        [
            hidden(bench, question.context + question.answer)[-1]
            - hidden(bench, question.context + text)[-1]
            for question, text in zip(given.questions, wrong, strict=True)
        ]
    )


@pytest.mark.parametrize("choices", [True, False])
def test_caa_is_the_mean_difference(bench: Workbench, choices: bool) -> None:
    given = examples(choices=choices)
    wrong = [q.choices[1] for q in given.questions] if choices else [
        " bad", " good", " bad", " day", " good", " bad"
    ]  # fmt: skip
    found = METHODS["caa"].find(bench, given, wanted("caa"))
    expected = pairs(bench, given, wrong).mean(dim=0).float()
    torch.testing.assert_close(found.parameters["vector"].values, expected, **CLOSE)
    assert expected.norm() > 0.1


def test_of_several_wrong_choices_the_mean_counts(bench: Workbench) -> None:
    three = Question("the end is", (" bad", " good", " very near"), 1)
    found = METHODS["caa"].find(
        bench, Examples((three.context,), questions=(three,)), wanted("caa")
    )
    right, first, second = (
        hidden(bench, three.context + c)[-1] for c in (" good", " bad", " very near")
    )
    expected = (right - (first + second) / 2).float()
    torch.testing.assert_close(found.parameters["vector"].values, expected, **CLOSE)


def test_repe_is_the_first_principal_component(bench: Workbench) -> None:
    given = examples()
    differences = pairs(bench, given, [q.choices[1] for q in given.questions]).numpy()
    both = np.concatenate([differences, -differences])  # each pair in either order
    values, vectors = np.linalg.eigh(np.cov(both.T, bias=True))
    expected = vectors[:, -1] * np.sign(differences.mean(axis=0) @ vectors[:, -1])
    found = METHODS["repe"].find(bench, given, wanted("repe"))
    np.testing.assert_allclose(found.parameters["vector"].values.numpy(), expected, atol=1e-5)
    assert found.remarks["explained_variance"] == pytest.approx(values[-1] / values.sum(), abs=1e-5)


def test_no_difference_has_no_component() -> None:
    direction, share = first_component(torch.zeros(3, 5))
    assert not direction.any()
    assert share == 0.0


def test_actadd_adds_one_pair_token_by_token(bench: Workbench) -> None:
    positive, negative = "very good", "bad and dull, a long night"
    found = METHODS["actadd"].find(bench, examples(), wanted("actadd", pair=[positive, negative]))
    longer = list(bench.encode(negative))
    shorter = list(bench.encode(positive))
    padded = shorter + list(bench.encode(" ")) * (len(longer) - len(shorter))
    with torch.no_grad():
        states = [
            bench.model(torch.tensor([ids]), output_hidden_states=True).hidden_states[LAYER + 1][0]
            for ids in (padded, longer)
        ]
    difference = states[0] - states[1]
    assert len(found.parameters) == len(longer)
    build = METHODS["actadd"].build
    assert build is not None
    interventions = build(Fitted(LAYER, found.parameters, 1.5))
    ids = torch.tensor([list(bench.encode("the cast is fine and the plot is very long, "))])
    assert ids.shape[1] > len(longer)

    def mask(intervention: Addition, positions: int) -> torch.Tensor:  # type: ignore[override]
        return torch.arange(positions).unsqueeze(0) == intervention.token

    def front(module: torch.nn.Module, args: object, output: torch.Tensor) -> torch.Tensor:
        changed = output.clone()
        changed[:, : len(longer)] += 1.5 * difference
        return changed

    with torch.no_grad():
        with amplify(bench.model, interventions, mask=mask):  # type: ignore[arg-type]
            got = torch.log_softmax(bench.model(ids).logits, -1)
        handle = bench.sites.blocks[LAYER].register_forward_hook(front)
        expected = torch.log_softmax(bench.model(ids).logits, -1)
        handle.remove()
    torch.testing.assert_close(got, expected, **CLOSE)


def test_actadd_without_a_pair_takes_task_against_neutral_text(bench: Workbench) -> None:
    given = examples()
    found = METHODS["actadd"].find(bench, given, wanted("actadd"))
    assert found.remarks["pair"] == ["a warm film and good", neutral_sentences()[0]]
    found = METHODS["actadd"].find(bench, Examples(("a prompt", "another")), wanted("actadd"))
    assert found.remarks["pair"] == ["a prompt", neutral_sentences()[0]]


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (["one"], r"options\.pair: expected two texts"),
        ("one", r"options\.pair: expected two texts"),
        (["a", "a"], r"options\.pair: expected two different texts"),
    ],
)
def test_impossible_pairs(bench: Workbench, pair: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        METHODS["actadd"].find(bench, examples(), wanted("actadd", pair=pair))


@pytest.mark.parametrize(
    "name", [name for name, method in METHODS.items() if method.build and not method.reads_files]
)
def test_who_needs_right_answers_says_so(bench: Workbench, name: str) -> None:
    asked: Any = nullcontext()
    if METHODS[name].needs_answers:
        asked = pytest.raises(InputError, match="method: expected one that needs no answers")
    with asked:
        METHODS[name].find(bench, Examples(("a prompt",)), wanted(name))


def test_a_plan_without_the_numbers_is_refused() -> None:
    for name, parameter in (("caa", "vector"), ("ia3", "layer_002"), ("activscalar", "attention")):
        build = METHODS[name].build
        assert build is not None
        with pytest.raises(
            InputError, match=rf"parameters\.{parameter}: expected a list of numbers"
        ):
            build(Fitted(2, {}))
