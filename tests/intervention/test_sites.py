"""Where the neurons are, in models that are not what their config says."""

from __future__ import annotations

import pytest
import torch

from architectures.tiny import build, entries
from sna_eval.errors import InputError
from sna_eval.intervention import Intervention, amplify, find_sites
from tests.conftest import build_model, token_ids


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


def test_an_adapted_projection_is_taken_whole() -> None:
    """What LoRA adds reads the same neurons; beneath it, the base layer alone was amplified."""
    import peft

    model = build(entries()["helium"])
    config = peft.LoraConfig(target_modules=["down_proj"], r=2, init_lora_weights=False)
    adapted = peft.get_peft_model(model, config).eval()
    sites = find_sites(adapted)
    assert sites.found_by == "shapes"
    assert sites.projection_path == "mlp.down_proj"
    ids = token_ids(2, 9)
    with amplify(adapted, [Intervention(1, (3, 5), 4.0)]):
        found = adapted(ids).logits
    merged = adapted.merge_and_unload()
    with torch.no_grad():
        merged.model.layers[1].mlp.down_proj.weight[:, [3, 5]] *= 4.0
    assert torch.allclose(found, merged(ids).logits, atol=1e-4)
