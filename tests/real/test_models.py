"""The folders are language models, and say what they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from real_models import at_hand, whole
from tests.real.conftest import Load

SHAPES = {"SmolLM2-135M-Instruct": (30, 1536), "gemma-3-270m": (18, 2048)}


def test_folders_are_whole_and_say_that_weights_are_quantized(real: Path) -> None:
    assert whole(real)
    assert "dequantized 4-bit weights" in (real / "README.md").read_text(encoding="utf-8")


def test_sites_are_those_of_the_architecture(real: Path, load: Load) -> None:
    sites = load(real, layer=1, neurons="1", multiplier=1.0, gate="always").sites
    assert (sites.n_layers, sites.d_mlp) == SHAPES[real.name]


def test_it_knows_the_capital_of_france(smollm2: Path, load: Load) -> None:
    lm = load(smollm2)
    ids = torch.tensor([lm.tok_encode("The capital of France is")])
    with torch.inference_mode():
        best: Any = lm.model(ids).logits[0, -1].argmax()
    assert lm.tokenizer.decode(best) == " Paris"
    assert at_hand("smollm2") == smollm2
