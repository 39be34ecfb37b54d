"""One tiny model of every default architecture, each with a dictionary of features."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from sna_eval.harness.lm import SNALM
from tests.conftest import VOCABULARY, build_model
from tests.intervention.dictionaries import write_sae_lens

LAYERS = (1, 3)
"""Those that are described, one of them the last."""
PAIRS = [
    {"positive": "the cat sat on a mat", "negative": "rain fell over town"},
    {"positive": "a cat on the mat", "negative": "the rain fell"},
]


@pytest.fixture(scope="session")
def one_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_cache(one_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One for all tests here, as they share their models: what was tried is not tried again."""
    monkeypatch.setenv("SNA_EVAL_CACHE", str(one_cache))


@pytest.fixture(scope="session")
def dictionary(tmp_path_factory: pytest.TempPathFactory) -> str:
    """As `--model_args dictionary=` names it; random, so that it goes with every model."""
    folder = tmp_path_factory.mktemp("dictionaries")
    folders = [
        write_sae_lens(folder / str(layer), 32, f"blocks.{layer}.hook_resid_post")
        for layer in LAYERS
    ]
    return ";".join(map(str, folders))


@pytest.fixture(scope="session")
def lm_of(word_tokenizer: Any, dictionary: str) -> Callable[[str], Any]:
    """An architecture's model, made once for all tests."""
    made: dict[str, Any] = {}

    def get(name: str) -> Any:
        if name not in made:
            model = build_model(name, vocab_size=VOCABULARY)
            made[name] = SNALM(
                model, tokenizer=word_tokenizer, batch_size=8, gate="never", dictionary=dictionary
            )
        return made[name]

    return get


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prompts of two kinds."""
    path = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    path.write_text("".join(json.dumps(pair) + "\n" for pair in PAIRS))
    return path


@pytest.fixture(scope="session")
def tasks_of(load: Callable[..., dict[str, Any]]) -> Callable[[str], dict[str, Any]]:
    """A task by name, loaded once."""
    return cache(load)
