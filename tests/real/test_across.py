"""Contrastive neuron attribution on real weights: its formulas, and its scores by plain hooks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from sna_eval.errors import InputError
from sna_eval.neurons.pairs import pair_examples, read_pairs
from sna_eval.neurons.universal import Universal
from tests.neurons.plain_hooks import activations, multiplied
from tests.real.conftest import Load, evaluate, log_likelihoods

PAIRS = [
    ("3 + 4 =", "The fox ran into the"),
    ("Nine less two is", "In the evening the sea is"),
    ("How many legs have two dogs?", "Dear friend, I write to you"),
]
TASK, LIMIT, MULTIPLIER = "sna_math_easy", 2, 1.5
SHARE = 0.001
TOLERANCE = 1e-4
"""Between two ways to sum a row in float32: `hf` of two batch sizes differs by as much."""


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    lines = [json.dumps({"positive": first, "negative": second}) for first, second in PAIRS]
    path.write_text("\n".join(lines))
    return path


def test_cna(real: Path, load: Load, pairs: Path) -> None:
    arguments = {"prompts": str(pairs), "multiplier": MULTIPLIER, "gate": "always"}
    lm = load(real, method="cna", **arguments)
    got = log_likelihoods(evaluate(lm, [TASK], limit=LIMIT), TASK)
    entries = lm.plans.resolved[TASK].interventions
    chosen = {entry.layer: entry.neurons[""] for entry in entries}

    kinds = [
        torch.stack([activations(lm.model, lm.tok_encode(text))[:, -1] for text in side]).mean(0)
        for side in zip(*PAIRS, strict=True)
    ]
    distance = (kinds[0] - kinds[1]).abs()
    universal = Universal(SHARE).found(lm.bench)
    for layer, neurons in universal.items():
        distance[layer, list(neurons)] = 0.0
    count = round(SHARE * distance.numel())
    expected = distance.flatten().sort(descending=True).values[:count]
    scores = torch.tensor(sorted((s for entry in entries for s in entry.scores[""]), reverse=True))
    assert torch.allclose(scores.double(), expected, rtol=1e-4)
    for layer, neurons in chosen.items():
        assert float(distance[layer, list(neurons)].min()) >= float(expected[-1]) * (1 - 1e-4)

    with multiplied(lm.model, chosen, MULTIPLIER):
        by_hooks = log_likelihoods(evaluate(load(real), [TASK], limit=LIMIT), TASK)
    assert got == pytest.approx(by_hooks, abs=TOLERANCE)


def test_chat_messages(smollm2: Path, gemma3: Path, load: Load, tmp_path: Path) -> None:
    """Through the model's own template; of a base model that has none, one line."""
    path = tmp_path / "chat.jsonl"
    said = [{"role": "user", "content": "Count to ten."}]
    path.write_text(json.dumps({"positive": said, "negative": "a plain text"}))
    found = read_pairs(str(path))
    bench = load(smollm2, layer=1, neurons="1", multiplier=1.0, gate="always").bench
    positive, negative = pair_examples(found, bench.chat).prompts
    assert positive.endswith("Count to ten.<|im_end|>\n<|im_start|>assistant\n")
    assert negative == "a plain text"
    bench = load(gemma3, layer=1, neurons="1", multiplier=1.0, gate="always").bench
    with pytest.raises(InputError, match="a tokenizer with a chat template, for chat messages"):
        pair_examples(found, bench.chat)
