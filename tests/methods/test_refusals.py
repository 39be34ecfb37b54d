"""Models and items that a method can do nothing with: one line, before anything is searched."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sna_eval.errors import InputError
from sna_eval.intervention import find_sites
from sna_eval.methods import METHODS, Workbench
from sna_eval.neurons import SearchConfig
from tests.methods.conftest import examples, shaped_model, wanted


@pytest.fixture(scope="module")
def plain(word_tokenizer: object) -> Workbench:
    """One model will do: nothing of it is run."""
    model = shaped_model("gpt2")
    return Workbench(model, find_sites(model), word_tokenizer.encode)  # type: ignore[attr-defined]


def test_items_of_one_label_tell_no_classes_apart(plain: Workbench) -> None:
    asked = replace(wanted("sna"), config=SearchConfig("contrastive"))
    one = replace(examples(labels=True), labels=(1,) * 6)
    with pytest.raises(InputError, match=r"items of both labels, 'yes' and 'no', got \"none with"):
        METHODS["sna"].find(plain, one, asked)
    with pytest.raises(
        InputError, match=r"select\.method: expected a task with exactly two labels"
    ):
        METHODS["sna"].find(plain, examples(), asked)


@pytest.mark.parametrize("other", [1, "3", True])
def test_another_layer_is_another(plain: Workbench, other: object) -> None:
    with pytest.raises(InputError, match=r"options\.other: expected a layer other than 1"):
        METHODS["other_layer"].find(plain, examples(), wanted("other_layer", other=other))


def test_experts_have_no_single_vector(plain: Workbench) -> None:
    mixed = replace(plain, sites=replace(plain.sites, n_experts=4))
    with pytest.raises(InputError, match=r"method: expected one for a mixture of experts.*'ia3'"):
        METHODS["ia3"].find(mixed, examples(), wanted("ia3", steps=1))


def test_components_whose_outputs_nobody_names(plain: Workbench) -> None:
    unnamed = replace(plain, sites=replace(plain.sites, attention_outputs=(), mlp_outputs=()))
    with pytest.raises(InputError, match=r"pretrained: expected a model whose components' outputs"):
        METHODS["activscalar"].find(unnamed, examples(), wanted("activscalar", steps=1))


def test_a_tokenizer_without_a_token_for_a_space(plain: Workbench) -> None:
    encode = plain.encode
    spaceless = replace(plain, encode=lambda text: encode(text) if text.strip() else [])
    with pytest.raises(InputError, match="pretrained: expected a tokenizer with a token for a spa"):
        METHODS["actadd"].find(spaceless, examples(), wanted("actadd"))
