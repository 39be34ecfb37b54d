"""Tiny models of three shapes, and development items to search on."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sna_eval.intervention import find_sites
from sna_eval.methods import METHODS, Examples, MethodConfig, Question, Workbench
from tests.conftest import VOCABULARY, build_model

SHAPES = {
    "gpt2": {"n_positions": 256},
    "llama": {"max_position_embeddings": 256},
    "gpt_neox": {"max_position_embeddings": 256},
}
LAYER = 1
_ITEMS = (
    ("a warm film and", "good", "bad"),
    ("the plot is dull,", "bad", "good"),
    ("it made me laugh out loud all evening;", "good", "bad"),
    ("two hours I want back:", "bad", "very bad"),
    ("never a bright", "day", "night"),
    ("the cast is fine and", "good", "bad"),
)


def shaped_model(name: str) -> Any:
    return build_model(name, vocab_size=VOCABULARY, **SHAPES[name])


def examples(*, choices: bool = True, labels: bool = False) -> Examples:
    """Six items; with two choices each, or with the answer alone."""
    questions = tuple(
        Question(context, (f" {first}", f" {second}") if choices else (f" {first}",), 0)
        for context, first, second in _ITEMS
    )
    prompts = tuple(question.context for question in questions)
    if not labels:
        return Examples(prompts, questions=questions)
    return Examples(prompts, (0, 1, 0, 1, 0, 1), ("yes", "no"), questions)


def wanted(method: str, layer: int = LAYER, **options: Any) -> MethodConfig:
    return MethodConfig(layer, METHODS.find(method).settle(options), top_k=4)


@pytest.fixture(scope="session", params=SHAPES)
def bench(request: pytest.FixtureRequest, word_tokenizer: Any) -> Workbench:
    model = shaped_model(request.param)
    encode = word_tokenizer.encode
    return Workbench(model, find_sites(model), lambda text: encode(text), batch_size=4)


@torch.no_grad()
def hidden(bench: Workbench, text: str) -> torch.Tensor:
    """Transformers' own record of what leaves block `LAYER`: `[position, d_model]`."""
    ids = torch.tensor([list(bench.encode(text))])
    states: torch.Tensor = bench.model(ids, output_hidden_states=True).hidden_states[LAYER + 1]
    return states[0].double()
