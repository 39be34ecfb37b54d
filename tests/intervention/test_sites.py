"""Where the neurons are, in models that are not what their config says."""

from __future__ import annotations

import pytest

from sna_eval.errors import InputError
from sna_eval.intervention import find_sites
from tests.conftest import build_model


def test_without_a_head_the_shapes_tell() -> None:
    """TransformerLens looks for the whole model's `model.layers`; here they are elsewhere."""
    whole = build_model("llama")
    body = whole.model
    body.config.architectures = ["LlamaForCausalLM"]
    sites = find_sites(body)
    assert (sites.found_by, sites.block_path) == ("shapes", "layers")
    assert sites.projections == find_sites(whole).projections


def test_blocks_that_are_not_there_are_one_line() -> None:
    body = build_model("gpt2").transformer  # its config leaves open how wide its MLPs are
    body.config.architectures = ["GPT2LMHeadModel"]
    with pytest.raises(InputError, match=r"pretrained: .*it has no blocks at transformer\.h"):
        find_sites(body)
