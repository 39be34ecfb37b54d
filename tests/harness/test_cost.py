"""The cost model's operations are those that PyTorch counts while lm_eval scores."""

from __future__ import annotations

from typing import Any

import pytest
from cost import (
    Machine,
    ModelSize,
    Work,
    amplified_flops,
    baseline_flops,
    cache_bytes,
    decoding_seconds,
    scoring_bytes,
    scoring_seconds,
    search_flops,
    sweep_flops,
)
from torch.utils.flop_counter import FlopCounterMode

from sna_eval.harness.lm import SNALM
from tests.conftest import VOCABULARY, build_model

SIZES = {
    "gpt2": ModelSize(4, 32, 128, VOCABULARY, keys=32, gated=False, bytes_per_weight=4),
    "llama": ModelSize(4, 32, 64, VOCABULARY, keys=16, bytes_per_weight=4),
}
CONTEXT, LAYER, DOCUMENTS = 24, 1, 3


@pytest.fixture(params=["gpt2", "llama"])
def counted(request: Any, word_tokenizer: Any) -> Any:
    """Counts the operations of scoring three documents of 24 tokens with two one-token choices."""
    window = "n_positions" if request.param == "gpt2" else "max_position_embeddings"
    model = build_model(request.param, vocab_size=VOCABULARY, **{window: 64})
    model.set_attn_implementation("eager")  # PyTorch does not count its own attention on a CPU

    def count(gate: str) -> float:
        lm = SNALM(
            model, tokenizer=word_tokenizer, batch_size=DOCUMENTS,
            layer=LAYER, neurons="1;5", multiplier=2.0, gate=gate,
        )  # fmt: skip
        lm.__dict__["scoring_engine"] = lm.engine  # shortcuts leave out what is counted
        with FlopCounterMode(display=False) as counter:
            lm.score_encoded(_instances(), _encoded(), quiet=True)
        return float(counter.get_total_flops())

    return SIZES[request.param], count


def _encoded() -> list[Any]:
    contexts = [[1 + (7 * n + k) % 500 for k in range(CONTEXT)] for n in range(DOCUMENTS)]
    return [((str(c), str(t)), c, [t]) for c in contexts for t in (3, 4)]


def _instances() -> list[Any]:
    from lm_eval.api.instance import Instance

    texts = [texts for texts, _, _ in _encoded()]
    return [
        Instance("loglikelihood", {}, text, number % 2, ("any", number // 2, 1))
        for number, text in enumerate(texts)
    ]


def test_operations_of_scoring(counted: Any) -> None:
    size, count = counted
    work = Work(DOCUMENTS, CONTEXT, 1, open_share=1.0, layer=LAYER)
    closed, opened = count("never"), count("always")
    # 1e-4: the angles of rotary positions count in some versions of transformers, in others not
    assert closed == pytest.approx(baseline_flops(size, work), rel=1e-4)
    assert opened - closed == pytest.approx(amplified_flops(size, work), rel=1e-4)


def test_weights_are_counted_as_the_model_has_them() -> None:
    for name, size in SIZES.items():
        matrices = sum(
            tensor.numel()
            for key, tensor in build_model(name).state_dict().items()
            if tensor.dim() == 2 and (".h." in key or ".layers." in key)
        )
        assert size.layers * size.block == matrices


def test_a_sweep_is_its_configurations() -> None:
    """As much as evaluating each configuration openly, from the middle on average, by itself."""
    size = SIZES["llama"]
    work = Work(10, 50, 2, open_share=1.0, layer=2)
    sweep = sweep_flops(size, work, layers=4, configurations=5)
    assert sweep == pytest.approx(baseline_flops(size, work) + 20 * amplified_flops(size, work))


def test_time_falls_with_copies_and_rises_with_open_gates() -> None:
    size, one = SIZES["llama"], Machine(1e9, 1e9)
    closed, opened = (Work(16, 50, 2, share, 0, new_tokens=8) for share in (0.0, 1.0))
    assert scoring_seconds(size, opened, one) == pytest.approx(
        2 * scoring_seconds(size, closed, one)
    )
    eight = Machine(1e9, 1e9, copies=8)
    assert scoring_seconds(size, closed, eight) == scoring_seconds(size, closed, one) / 8
    ratio = decoding_seconds(size, closed, one, batch=2) / decoding_seconds(
        size, closed, eight, batch=2
    )
    assert ratio == 8


def test_memory_is_proportional_to_the_batch() -> None:
    size, work = SIZES["llama"], Work(16, 50, 2, 0.5, 0, new_tokens=8)
    for memory in (scoring_bytes, cache_bytes):
        assert memory(size, work, batch=8) == pytest.approx(4 * memory(size, work, batch=2))


def test_searching_reads_prompts_once() -> None:
    size = SIZES["gpt2"]
    reading = baseline_flops(size, Work(9, 20, 0))
    assert search_flops(size, prompts=9, tokens=20) == reading
