"""Controls choose what they say, and nothing that `sna` chose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sna_eval.errors import InputError
from sna_eval.intervention.projections import written
from sna_eval.methods import METHODS, Workbench
from sna_eval.neurons import SearchConfig, mean_activations, neutral_sentences
from tests.methods.conftest import LAYER, examples, wanted


def means(bench: Workbench, texts: tuple[str, ...]) -> np.ndarray:
    rows = bench.rows(texts)
    return mean_activations(bench.model, bench.sites, rows, layers=[LAYER])[LAYER].numpy()


def pushes(bench: Workbench, texts: tuple[str, ...]) -> np.ndarray:
    """Root mean square of every neuron's activation behind position 0, times what it writes."""
    projection, seen = bench.sites.projections[LAYER], []
    keep = projection.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    with keep, torch.no_grad():
        for row in bench.rows(texts):
            bench.model(torch.tensor([row]))
    activations = torch.cat(
        [entering.reshape(-1, entering.shape[-1])[1:] for entering in seen]
    ).double()
    columns = written(projection).double()
    return (activations.square().mean(dim=0).sqrt() * columns.norm(dim=1)).detach().numpy()


def test_random_neurons_are_like_the_chosen_ones(bench: Workbench) -> None:
    given = examples()
    chosen = METHODS["sna"].find(bench, given, wanted("sna")).selected[""].neurons
    draws = [
        METHODS["random_neurons"].find(bench, given, wanted("random_neurons", seed=seed))
        for seed in (0, 0, 1, 2, 3)
    ]
    sets = [draw.selected[""].neurons for draw in draws]
    assert sets[0] == sets[1]
    assert len(set(sets)) > 1
    size = pushes(bench, given.prompts)
    for drawn in sets:
        assert len(set(drawn)) == len(chosen)
        assert not set(drawn) & set(chosen)
        for stand_in, neuron in zip(drawn, chosen, strict=True):
            nearer = np.abs(size - size[neuron]) < abs(size[stand_in] - size[neuron])
            assert nearer.sum() <= 20 + 2 * len(chosen)  # of the nearest that were free


def test_random_neurons_of_two_labels_are_disjoint(bench: Workbench) -> None:
    given = examples(labels=True)
    asked = replace(wanted("random_neurons", seed=1), config=SearchConfig("contrastive"))
    chosen = METHODS["sna"].find(bench, given, asked).selected
    drawn = METHODS["random_neurons"].find(bench, given, asked).selected
    assert list(drawn) == ["yes", "no"]
    every = [n for sets in (chosen, drawn) for one in sets.values() for n in one.neurons]
    assert len(every) == len(set(every)) == 16


def test_too_narrow_a_layer_is_refused(bench: Workbench) -> None:
    count = bench.sites.d_mlp // 2 + 1
    asked = replace(
        wanted("random_neurons"), top_k=bench.sites.d_mlp, config=SearchConfig("contrastive")
    )
    with pytest.raises(InputError, match=r"select\.top_k: expected at most"):
        METHODS["random_neurons"].find(bench, examples(labels=True), asked)
    asked = replace(asked, top_k=count // 2 + 1)
    with pytest.raises(InputError, match="neurons in all, to draw as many again"):
        METHODS["random_neurons"].find(bench, examples(labels=True), asked)


def test_bottom_neurons_are_the_other_end(bench: Workbench) -> None:
    given = examples()
    difference = means(bench, given.prompts) - means(bench, neutral_sentences())
    found = METHODS["bottom_neurons"].find(bench, given, wanted("bottom_neurons")).selected[""]
    assert list(found.neurons) == np.argsort(difference)[:4].tolist()
    assert found.scores == pytest.approx(np.sort(difference)[:4])


def test_bottom_neurons_of_two_labels_tell_them_apart_least(bench: Workbench) -> None:
    given = examples(labels=True)
    first, second = (means(bench, given.of_label(label)) for label in (0, 1))
    asked = replace(wanted("bottom_neurons"), config=SearchConfig("contrastive"))
    found = METHODS["bottom_neurons"].find(bench, given, asked).selected
    every = sorted(n for one in found.values() for n in one.neurons)
    assert every == sorted(np.argsort(np.abs(first - second))[:8].tolist())
    assert [len(one.neurons) for one in found.values()] == [4, 4]


def test_other_layer_searches_there(bench: Workbench) -> None:
    given = examples()
    there = METHODS["sna"].find(bench, given, replace(wanted("sna"), layer=3))
    found = METHODS["other_layer"].find(bench, given, wanted("other_layer"))
    assert found.layer == 3  # two of four blocks further
    assert found.selected == there.selected
    assert found.remarks["instead_of_layer"] == LAYER
    named = METHODS["other_layer"].find(bench, given, wanted("other_layer", other=0))
    assert named.layer == 0
    with pytest.raises(InputError, match=r"options\.other: expected a layer from 0 to 3"):
        METHODS["other_layer"].find(bench, given, wanted("other_layer", other=4))


def test_other_layer_keeps_to_layers_with_neurons(bench: Workbench) -> None:
    """In a model whose blocks 0 and 2 have none, half of the others away from 1 is 3, and back."""
    some = replace(bench, sites=replace(bench.sites, layers=(1, 3)))
    for one, other in ((1, 3), (3, 1)):
        asked = replace(wanted("other_layer"), layer=one)
        assert METHODS["other_layer"].find(some, examples(), asked).layer == other


def test_unknown_methods_and_options_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"method: expected one of sna, random_neurons, .*few_shot"
    ):
        METHODS.find("magic")
    with pytest.raises(InputError, match=r"options\.k: expected an option of caa: none"):
        METHODS.find("caa").settle({"k": 3})
    with pytest.raises(InputError, match=r"options\.k: expected a value like 3"):
        METHODS.find("few_shot").settle({"k": "three"})
    with pytest.raises(InputError, match=r"options\.steps: expected a number from 0"):
        METHODS.find("ia3").settle({"steps": -1})


def test_nothing_is_left_behind(bench: Workbench) -> None:
    """After every search the model answers as before, to the bit."""
    ids = torch.tensor([[3, 5, 7, 11, 13]])
    with torch.no_grad():
        plain = bench.model(ids).logits
    asked = [parameter.requires_grad for parameter in bench.model.parameters()]
    modules = list(bench.model.modules())
    for name, method in METHODS.items():
        if method.reads_files:  # and finds nothing in the model
            continue
        quick = {"steps": 2} if "steps" in method.options else {}
        method.find(bench, examples(labels=True), wanted(name, **quick))
        with torch.no_grad():
            assert torch.equal(bench.model(ids).logits, plain), name
    assert [parameter.requires_grad for parameter in bench.model.parameters()] == asked
    assert list(bench.model.modules()) == modules
    assert all(parameter.grad is None for parameter in bench.model.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in bench.model.modules())
