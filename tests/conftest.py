"""Tiny seeded models, built from configs: no network, no GPU."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from sna_eval.files import tasks_path

BESIDE = Path(__file__).resolve().parents[1].parent / "shared" / "data"
"""Real data beside the checkout, where there is any; nothing but the tests looks there."""
if (BESIDE / "sst2" / "dev.tsv").is_file():
    os.environ.setdefault("SNA_EVAL_SST2", str(BESIDE / "sst2"))
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

_COMMON = {
    "vocab_size": 128,
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}
_GROUPED = {**_COMMON, "num_key_value_heads": 2, "head_dim": 8}
_GPT2 = {"vocab_size": 128, "n_embd": 32, "n_layer": 4, "n_head": 4, "n_positions": 64}
_OPT = {**_COMMON, "ffn_dim": 64, "word_embed_proj_dim": 32}

CONFIGS: dict[str, dict[str, Any]] = {
    "gpt2": {**_GPT2, "bos_token_id": 0, "eos_token_id": 0},
    "gpt_neox": _COMMON,
    "llama": _GROUPED,
    "mistral": {**_GROUPED, "sliding_window": 8},
    "qwen2": _GROUPED,
    "gemma2": {**_GROUPED, "sliding_window": 8},
    "phi": _COMMON,
    "opt": _OPT,
}
"""The architectures of the default tests; a sliding window of 8 is shorter than the texts."""
FURTHER_CONFIGS: dict[str, dict[str, Any]] = {
    "gptj": {**_GPT2, "rotary_dim": 4},
    "bloom": {"vocab_size": 128, "hidden_size": 32, "n_layer": 4, "n_head": 4},
    "gemma3_text": {**_GROUPED, "sliding_window": 8},
    "phi3": {**_GROUPED, "pad_token_id": 0},
}


VOCABULARY = 512
"""Tokens of `word_tokenizer`."""


def build_model(name: str, **changes: Any) -> Any:
    """A tiny random model of an architecture, in float32, the same at every call."""
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM

    values = {**CONFIGS, **FURTHER_CONFIGS}[name]
    config = CONFIG_MAPPING[name](**{**values, **changes})
    # Gemma 2 caps attention's scores; sdpa, which older transformers take all the same, does not
    how = {"attn_implementation": "eager"} if name == "gemma2" else {}
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, **how).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.2)
    return model


def token_ids(rows: int, width: int, *, vocabulary: int = 128, seed: int = 1) -> torch.Tensor:
    """Random ids, `[rows, width]`, none of them 0."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(1, vocabulary, (rows, width), generator=generator)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees another's cache, or the user's."""
    monkeypatch.setenv("SNA_EVAL_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data beside the checkout; skips where it is missing."""
    if not BESIDE.is_dir():
        pytest.skip("needs ../shared/data")
    return BESIDE


@pytest.fixture(scope="session")
def word_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A tokenizer of 512 tokens, made from the bundled items: no network."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<eos>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    items = sorted((tasks_path() / "data").glob("*/development.jsonl"))
    texts = [
        path.read_text(encoding="utf-8") for path in items if "instruct" not in path.parent.name
    ]
    tokenizer.train_from_iterator([*texts, "Review: Sentiment: positive negative " * 99], trainer)
    folder = tmp_path_factory.mktemp("tokenizer")
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<eos>", bos_token="<eos>", pad_token="<eos>"
    ).save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)
