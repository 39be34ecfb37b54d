"""Features of a dictionary as units: against plain hooks with arithmetic of the tests' own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from sna_eval.errors import InputError
from sna_eval.intervention import (
    Assigned,
    Batch,
    Engine,
    Intervention,
    Row,
    Sites,
    amplify,
    find_sites,
    probe,
)
from sna_eval.intervention.dictionary import read_dictionary
from sna_eval.neurons.first_order import first_order
from tests.conftest import CONFIGS, build_model, token_ids
from tests.intervention.dictionaries import (
    FEATURES,
    amplified_by_hand,
    random_tensors,
    write_sae_lens,
    write_sparsify,
)
from tests.neurons.answered import log_prob, rows

CLOSE: dict[str, Any] = {"atol": 1e-5, "rtol": 0}
LAYER, FACTOR, CHOSEN = 2, 4.0, (3, 17, 30, 41)
ON = Intervention(LAYER, CHOSEN, FACTOR, unit="feature")
WIDTH = 32
BLOCKS = {
    "gpt2": "transformer.h.2", "gpt_neox": "gpt_neox.layers.2", "llama": "model.layers.2",
    "mistral": "model.layers.2", "qwen2": "model.layers.2", "gemma2": "model.layers.2",
    "gemma3_text": "model.layers.2", "phi": "model.layers.2", "opt": "model.decoder.layers.2",
}  # fmt: skip
"""Where each architecture's blocks are, written down here."""


def sites_with(model: Any, *folders: Path) -> Sites:
    return find_sites(model).with_features(model, [read_dictionary(folder) for folder in folders])


def log_probs(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return torch.log_softmax(model(token_ids(3, 14)).logits, -1)


def hooked(model: Any, path: str, **by_hand: Any) -> torch.Tensor:
    """Log-probabilities with the state behind a module changed by a hook of this test's own."""

    def change(module: Any, args: Any, output: Any) -> Any:
        state = output[0] if isinstance(output, tuple) else output
        changed = amplified_by_hand(state, CHOSEN, FACTOR, **by_hand)
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    handle = model.get_submodule(path).register_forward_hook(change)
    try:
        return log_probs(model)
    finally:
        handle.remove()


@pytest.mark.parametrize("name", [*CONFIGS, "gemma3_text"])
def test_equals_a_plain_hook(name: str, tmp_path: Path) -> None:
    model = build_model(name)
    sites = sites_with(model, write_sae_lens(tmp_path, WIDTH, "blocks.2.hook_resid_post"))
    seen = sites.of("feature")
    assert (seen.n_units, seen.layers, seen.channels, seen.units) == (48, (2,), 1, "features")
    expected, plain = hooked(model, BLOCKS[name]), log_probs(model)
    with amplify(model, [ON], sites=sites):
        torch.testing.assert_close(log_probs(model), expected, **CLOSE)
    assert (expected - plain).abs().max() > 1e-2
    assert torch.equal(log_probs(model), plain)
    assert not any(module._forward_hooks for module in model.modules())


Written = tuple[Callable[[Path], Path], str, dict[str, Any]]
LAYOUTS: dict[str, Written] = {
    "jumprelu": (
        lambda at: write_sae_lens(at, WIDTH, "blocks.2.hook_resid_post", architecture="jumprelu"),
        "model.layers.2", {"kind": "jumprelu"},
    ),
    "topk": (
        lambda at: write_sae_lens(
            at, WIDTH, "blocks.2.hook_resid_post", architecture="topk", k=9,
            rescale_acts_by_decoder_norm=True,
        ),
        "model.layers.2", {"kind": "topk", "k": 9, "by_norm": True},
    ),
    "before sae_lens 6": (
        lambda at: write_sae_lens(
            at, WIDTH, "unused", hook_name="blocks.3.hook_resid_pre", activation_fn_str="topk",
            activation_fn_kwargs={"k": 9}, apply_b_dec_to_input=False, normalize_activations=False,
        ),
        "model.layers.2", {"kind": "topk", "k": 9, "shifted": False},
    ),
    "behind the MLP": (
        lambda at: write_sae_lens(at, WIDTH, "blocks.2.hook_mlp_out"), "model.layers.2.mlp", {},
    ),
    "behind attention": (
        lambda at: write_sae_lens(at, WIDTH, "blocks.2.hook_attn_out"),
        "model.layers.2.self_attn", {},
    ),
    "sparsify": (
        lambda at: write_sparsify(at / "layers.2", WIDTH), "model.layers.2", {"kind": "topk"},
    ),
    "sparsify behind the MLP": (
        lambda at: write_sparsify(at / "layers.2.mlp", WIDTH), "model.layers.2.mlp",
        {"kind": "topk"},
    ),
}  # fmt: skip
"""How it is written, the module whose output it describes, and what its encoder does."""


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_places_and_activations(name: str, tmp_path: Path) -> None:
    write, path, by_hand = LAYOUTS[name]
    model = build_model("llama")
    sites = sites_with(model, write(tmp_path))
    expected = hooked(model, path, **by_hand)
    with amplify(model, [ON], sites=sites):
        torch.testing.assert_close(log_probs(model), expected, **CLOSE)
    assert (expected - log_probs(model)).abs().max() > 1e-3


def test_a_resumed_and_masked_pass(tmp_path: Path) -> None:
    """One row amplified, the other left alone to the bit; from the block on."""
    model = build_model("gemma3_text")
    sites = sites_with(model, write_sae_lens(tmp_path, WIDTH, "blocks.2.hook_resid_post"))
    engine = Engine(model, sites, probe(model, sites))
    tokens = tuple(token_ids(1, 12)[0].tolist())
    batch = Batch([Row(tokens[:8], (tokens[8:10],)), Row(tokens[:5], (tokens[5:6],))], "cpu")
    plain, captured = engine.run(batch, capture=[LAYER])
    assigned = [Assigned(ON, torch.tensor([True, False]))]
    scores = engine.amplified(batch, assigned, hidden=captured[LAYER])

    def change(module: Any, args: Any, output: Any) -> Any:
        return amplified_by_hand(output, CHOSEN, FACTOR)

    handle = model.model.layers[LAYER].register_forward_hook(change)
    expected = log_prob(model, Row(tokens[:8], (tokens[8:10],)))
    handle.remove()
    assert scores[0].branches[0].log_likelihood == pytest.approx(expected, abs=1e-5)
    assert abs(expected - plain[0].branches[0].log_likelihood) > 1e-3
    assert scores[1].branches[0].log_likelihood == pytest.approx(
        plain[1].branches[0].log_likelihood, abs=1e-6
    )


def test_identities_hold_to_the_bit(tmp_path: Path) -> None:
    model = build_model("gpt2")
    sites = sites_with(model, write_sae_lens(tmp_path, WIDTH, "blocks.2.hook_resid_post"))
    plain = log_probs(model)
    for nothing in (
        Intervention(LAYER, CHOSEN, 1.0, unit="feature"),
        Intervention(LAYER, (), 3.0, unit="feature"),
    ):
        with amplify(model, [nothing], sites=sites):
            assert torch.equal(log_probs(model), plain)
    with pytest.raises(RuntimeError), amplify(model, [ON], sites=sites):
        raise RuntimeError
    assert torch.equal(log_probs(model), plain)


def test_two_entries_multiply(tmp_path: Path) -> None:
    """As entries that share a neuron do."""
    model = build_model("gpt2")
    sites = sites_with(model, write_sae_lens(tmp_path, WIDTH, "blocks.2.hook_resid_post"))
    halves = [Intervention(LAYER, CHOSEN, 2.0, unit="feature"), *[
        Intervention(LAYER, (index,), 2.0, unit="feature") for index in CHOSEN
    ]]  # fmt: skip
    expected = hooked(model, BLOCKS["gpt2"])
    with amplify(model, halves, sites=sites):
        torch.testing.assert_close(log_probs(model), expected, **CLOSE)


def test_first_order_effects_equal_finite_differences(tmp_path: Path) -> None:
    """Of features, and of the neurons below them, whose gradients pass through the state."""
    model = build_model("gpt2").double()
    sites = sites_with(model, write_sae_lens(tmp_path, WIDTH, "blocks.2.hook_resid_post"))
    found = first_order(model, sites.of("feature"), rows(), layers=[LAYER]).effects[LAYER]
    assert found.shape == (len(rows()), FEATURES)
    step = 1e-5
    for feature in CHOSEN:
        for number, row in enumerate(rows()):
            ends = []
            for multiplier in (1 + step, 1 - step):
                one = Intervention(LAYER, (feature,), multiplier, unit="feature")
                with amplify(model, [one], sites=sites):
                    ends.append(log_prob(model, row))
            slope = (ends[0] - ends[1]) / (2 * step)
            assert float(found[number, feature]) == pytest.approx(slope, rel=1e-4, abs=1e-7)


def test_hashes_tell_dictionaries_apart(tmp_path: Path) -> None:
    first = write_sae_lens(tmp_path / "a", WIDTH, "blocks.2.hook_resid_post")
    again = write_sae_lens(tmp_path / "b", WIDTH, "blocks.2.hook_resid_post")
    other = write_sae_lens(tmp_path / "c", WIDTH, "blocks.2.hook_resid_post")
    tensors = load_file(other / "sae_weights.safetensors")
    tensors["b_enc"][0] += 1e-3
    save_file(tensors, other / "sae_weights.safetensors")
    hashes = [read_dictionary(folder).sha256 for folder in (first, again, other)]
    assert hashes[0] == hashes[1] != hashes[2]


def refused(message: str, *folders: Path, model: str = "llama") -> None:
    with pytest.raises(InputError, match=message) as raised:
        sites_with(build_model(model), *folders)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"architecture": "gated"}, r"architecture: expected relu or jumprelu or topk, got 'ga"),
        ({"activation_fn": "tanh-relu"}, r"architecture: expected relu or .*, got 'tanh"),
        ({"normalize_activations": "layer_norm"}, "normalize_activations: expected none"),
        ({"reshape_activations": "hook_z"}, "reshape_activations: expected none, got 'hook_z'"),
        ({"hook_head_index": 0}, "hook_head_index: expected"),
        ({"model_from_pretrained_kwargs": {"center_writing_weights": True}}, "center_writing_wei"),
        ({"architecture": "topk", "k": 49}, "k: expected a number from 1 to 48, .* got 49"),
        ({"architecture": "topk"}, "k: expected a number from 1 to 48, .* got None"),
        ({"d_in": 33}, r"W_dec: expected finite numbers, \[48, 33\], got '\[48, 32"),
        ({"activation_fn_kwargs": [9], "activation_fn": "topk"}, "cfg.json: expected a dicti"),
        ({"metadata": {}}, "hook_name: expected a place such as blocks.8.hook_resid_post"),
        ({"hook_name": "blocks.2.attn.hook_z"}, "output of a block, .* got 'blocks.2"),
        ({"hook_name": "blocks.4.hook_resid_post"}, "output of a block, .* got 'blocks.4"),
        ({"hook_name": "blocks.0.hook_resid_pre"}, "expected the output of a block"),
        ({"hook_name": "embed_tokens"}, "expected the output of a block"),
    ],
)  # fmt: skip
def test_refuses_what_does_not_fit(config: dict[str, Any], message: str, tmp_path: Path) -> None:
    refused(message, write_sae_lens(tmp_path, WIDTH, "blocks.2.hook_resid_post", **config))


def test_refuses_other_widths_sizes_and_files(tmp_path: Path) -> None:
    hook = "blocks.{}.hook_resid_post"
    refused("dictionary: expected states of 32 numbers, as LlamaForCausalLM has, got '16 in ",
            write_sae_lens(tmp_path / "narrow", 16, hook.format(1)))  # fmt: skip
    first = write_sae_lens(tmp_path / "first", WIDTH, hook.format(1))
    refused("dictionary: expected one a layer, got 'two of layer 1'", first, first)
    few = write_sae_lens(tmp_path / "few", WIDTH, hook.format(2), features=9)
    refused(r"dictionary: expected dictionaries of one size, got \[9, 48\]", first, few)
    refused("dictionary: expected a folder with cfg.json", tmp_path / "nowhere")
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "ae.pt").write_bytes(b"\x80\x04")
    refused("expected sae_weights.safetensors or sae.safetensors .* got 'ae.pt'; .* pickles are",
            tmp_path / "pickled")  # fmt: skip
    (few / "sae_weights.safetensors").write_bytes(b"no tensors")
    refused("sae_weights.safetensors: expected a safetensors file", few)
    (first / "cfg.json").write_text("[]")
    refused("cfg.json: expected a JSON object", first)
    for changed in ({"activation": "groupmax"}, {"transcode": True}, {"skip_connection": True}):
        folder = write_sparsify(tmp_path / "layers.1", WIDTH, **changed)
        refused(f"{next(iter(changed))}: expected", folder)
    refused("expected the output of a block",
            write_sparsify(tmp_path / "somewhere", WIDTH))  # fmt: skip


def test_a_tensor_with_a_hole(tmp_path: Path) -> None:
    folder = write_sae_lens(tmp_path, WIDTH, "blocks.2.hook_resid_post")
    tensors = {name: tensor.contiguous() for name, tensor in random_tensors(WIDTH).items()}
    tensors["b_enc"][3] = float("nan")
    save_file(tensors, folder / "sae_weights.safetensors")
    refused(r"b_enc: expected finite numbers, \[48\]", folder)
    assert json.loads((folder / "cfg.json").read_text())["d_sae"] == 48


def test_without_a_dictionary() -> None:
    model = build_model("llama")
    with (
        pytest.raises(
            InputError, match=r"unit: expected `mlp` or `head`, or a model with a dictio"
        ),
        amplify(model, [ON]),
    ):
        pass
