"""Gated generation through lm_eval: once per request, and at every step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from transformers import GenerationMixin

from architectures.tiny import build, entries
from sna_eval.errors import InputError
from sna_eval.gating.signals.max_prob import max_prob
from sna_eval.harness.model.overflow import OverflowWatch
from sna_eval.harness.values import GeneratedText
from sna_eval.intervention import Intervention, amplify
from tests.conftest import VOCABULARY
from tests.harness.conftest import answers, long_rope

PLAN = {"layer": 2, "neurons": "1;5;7", "multiplier": 6.0}
TASK = "own_generation"
NEW_TOKENS = 8


@torch.no_grad()
def stepwise(lm: Any, prompt: str, low: float) -> str:
    """Greedy decoding without cache; each step decided by the unmodified model."""
    ids = lm.tokenizer(prompt, return_tensors="pt").input_ids
    intervention = Intervention(2, (1, 5, 7), 6.0)
    start = ids.shape[1]
    for _ in range(NEW_TOKENS):
        logits = lm.model(ids).logits[0, -1]
        if float(max_prob(torch.log_softmax(logits, -1))) < low:
            with amplify(lm.model, [intervention]):
                logits = lm.model(ids).logits[0, -1]
        ids = torch.cat([ids, logits.argmax().view(1, 1)], dim=1)
        if ids[0, -1] == lm.tokenizer.eos_token_id:
            break
    return str(lm.tok_decode(ids[0, start:].tolist()))


def test_every_step_equals_stepwise_decoding(evaluate: Any, make_sna: Any) -> None:
    low = 0.05
    gate = {"gate": "max_prob", "low": low, "high": 1.0}
    lm = make_sna(decide_at="every_step", **PLAN, **gate)
    samples = evaluate(lm, [TASK])["samples"][TASK]
    for sample in samples:
        assert sample["resps"][0][0] == stepwise(lm, sample["doc"]["text"], low)
    assert any(isinstance(sample["resps"][0][0], GeneratedText) for sample in samples)


def test_strict_and_shared_prompt_passes_agree(evaluate: Any, make_sna: Any) -> None:
    gate = {"gate": "entropy", "low": 0.3, "high": 0.9}
    runs = [
        answers(evaluate(make_sna(strict=strict, **PLAN, **gate), [TASK]))
        for strict in (False, True)
    ]
    assert runs[0] == runs[1]


def generated(lm: Any, *prompts: str, **options: Any) -> list[Any]:
    from lm_eval.api.instance import Instance

    settings = {"until": ["zzz"], "max_gen_toks": NEW_TOKENS, "do_sample": False, **options}
    requests = [
        Instance("generate_until", {}, (prompt, settings), 0, metadata=("own", number, 1))
        for number, prompt in enumerate(prompts)
    ]
    return list(lm.generate_until(requests, disable_tqdm=True))


TEXTS = ("the cat sat on a mat while rain", "so on and so on", "x")
SETTINGS: list[dict[str, Any]] = [{}, {"no_repeat_ngram_size": 1}, {"repetition_penalty": 2.0}]


@pytest.mark.parametrize("settings", SETTINGS)
def test_always_is_the_same_at_the_start_and_at_every_step(
    make_sna: Any, settings: dict[str, Any]
) -> None:
    """The gate reads the model's own scores; penalties and bans act on those that it chose."""
    lms = [make_sna(decide_at=when, gate="always", **PLAN) for when in ("start", "every_step")]
    start, every = (generated(lm, *TEXTS, **settings) for lm in lms)
    assert start == every
    assert [text.decision for text in start] == [text.decision for text in every]
    assert not settings or every != generated(lms[1], *TEXTS), "the setting acts"


def test_every_step_leaves_the_model_as_it_was(make_sna: Any, tiny_gpt2: Any) -> None:
    lm = make_sna(decide_at="every_step", gate="target_prob", **PLAN)
    with pytest.raises(InputError, match=r"gate\.signal"):
        generated(lm, *TEXTS)
    assert "_get_logits_processor" not in vars(tiny_gpt2)


LAST = {"layer": 2, "neurons": ";".join(map(str, range(24))), "multiplier": 9.0}


@pytest.mark.parametrize("positions", ["last", "continuation"])
def test_a_prompt_of_one_token_is_a_prompt(make_sna: Any, positions: str) -> None:
    """Its pass looks like a decoded token's, which has no last prompt token."""
    lm = make_sna(**LAST, positions=positions, gate="always")
    assert len(lm.tok_encode("x")) == 1
    strict = make_sna(**LAST, positions=positions, gate="always", strict=True)
    plain = make_sna(**LAST, gate="never")
    assert generated(lm, "x") == generated(strict, "x") != generated(plain, "x")


@pytest.mark.parametrize("positions", ["all", "last", "continuation"])
def test_blocks_that_run_at_the_last_position_alone(make_sna: Any, positions: str) -> None:
    """Gemma 4's last blocks take earlier ones' keys, and read a prompt's last position alone."""
    entry = entries()["gemma4_text"]
    types = ["sliding_attention", *["full_attention"] * 3]
    changes = {"layer_types": types, "num_kv_shared_layers": 2, "eos_token_id": 0}
    sizes = dict.fromkeys(("vocab_size", "vocab_size_per_layer_input"), VOCABULARY)
    model = build(replace(entry, config={**entry.config, **changes, **sizes}))
    texts = ("the cat sat on a mat while rain", "x", "dogs")
    settings = {**LAST, "layer": 3, "positions": positions, "gate": "always"}
    start, every = (make_sna(model, **settings, decide_at=when) for when in ("start", "every_step"))
    plain = make_sna(model, **{**settings, "gate": "never"})
    assert generated(start, *texts) == generated(every, *texts) != generated(plain, *texts)


@pytest.mark.parametrize("positions", ["all", "last", "continuation"])
def test_models_that_read_the_whole_text_at_every_step(make_sna: Any, positions: str) -> None:
    """The first GPT keeps no keys and values; it knows no padding either, so one text at a time."""
    entry = entries()["openai-gpt"]
    model = build(replace(entry, config={**entry.config, "vocab_size": VOCABULARY}))
    settings = {**LAST, "positions": positions, "gate": "always", "batch_size": 1}
    start, every = (make_sna(model, **settings, decide_at=when) for when in ("start", "every_step"))
    plain = make_sna(model, **{**settings, "gate": "never"})
    texts = ("the cat sat on a mat", "x")
    assert generated(start, *texts) == generated(every, *texts) != generated(plain, *texts)


def test_decide_at_is_one_of_two(make_sna: Any) -> None:
    with pytest.raises(InputError, match="decide_at: expected start or every_step"):
        make_sna(decide_at="never", **PLAN)


def test_a_generated_text_has_no_target_to_look_at(evaluate: Any, make_sna: Any) -> None:
    with pytest.raises(InputError, match=r"gate\.signal: expected `max_prob`.*got 'target_prob'"):
        evaluate(make_sna(gate="target_prob", **PLAN), [TASK], limit=1)


@contextmanager
def overflow(model: Any, way: str) -> Iterator[list[int]]:
    """At the third step, the amplified scores of the first text are no numbers; yields when."""
    start = way != "every_step"
    passes, hits = 0, list[int]()

    def after(module: Any, args: Any, kwargs: dict[str, Any], output: Any) -> Any:
        nonlocal passes
        # what tells an amplified pass: one token, or none of the cache that the baseline has
        amplified = kwargs["input_ids"].shape[1] == 1 if start else not kwargs["use_cache"]
        passes += amplified
        if amplified and passes == (2 if start else 3):
            hits.append(passes)
            first = len(output.logits) // 2 if way == "side by side" else 0
            output.logits = output.logits.index_fill(0, torch.tensor([first]), float("nan"))
        return output

    handle = model.register_forward_hook(after, with_kwargs=True)
    try:
        yield hits
    finally:
        handle.remove()


WAYS: dict[str, dict[str, Any]] = {
    "side by side": {},
    "alone": {"report_baseline": False},
    "every_step": {"decide_at": "every_step"},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("closed_by", ["until", "eos_token_id"])
def test_an_overflow_after_the_end_of_a_text(
    make_sna: Any, tiny_gpt2: Any, way: str, closed_by: str
) -> None:
    """A text that has ended is decoded on as long as another of its batch; none of it counts."""
    settings = {**PLAN, "gate": "always", **WAYS[way]}
    texts = TEXTS[:2]
    if closed_by == "until":
        end = {closed_by: [generated(make_sna(**settings), texts[0], max_gen_toks=1)[0]]}
    else:  # a token that may be a part of a letter, so that no text says which it is
        with amplify(tiny_gpt2, [Intervention(2, (1, 5, 7), 6.0)]), torch.no_grad():
            prompt = make_sna(**settings).tok_encode(texts[0])
            end = {closed_by: [int(tiny_gpt2(torch.tensor([prompt])).logits[0, -1].argmax())]}
    alone = generated(make_sna(**settings, batch_size=1), *texts, **end)
    lm = make_sna(**settings, batch_size=2)
    assert lm.engine.abilities.resumes
    with overflow(tiny_gpt2, way) as hits:
        assert generated(lm, *texts, **end) == alone
    assert hits
    assert lm.ledger.overflowed == 0
    with overflow(tiny_gpt2, way):
        generated(lm, *texts)
    assert lm.ledger.overflowed == 1, "a text that goes on counts"


def test_the_first_overflow_of_a_row_decides() -> None:
    watch, nan = OverflowWatch(), float("nan")
    for width, values in ((3, [0.0, nan]), (4, [nan, 0.0]), (5, [nan, nan])):
        watch(torch.zeros(2, width), torch.tensor(values).unsqueeze(1))
    assert watch.items(1) == [True, True]
    assert watch.items(1, lambda row, width: width >= 4) == [False, True]


@pytest.mark.parametrize("decide_at", ["start", "every_step"])
def test_caches_of_a_fixed_size(
    make_sna: Any, tiny_gpt2: Any, monkeypatch: pytest.MonkeyPatch, decide_at: str
) -> None:
    lm = make_sna(**PLAN, gate="always", decide_at=decide_at)
    expected = generated(lm, *TEXTS)
    assert generated(lm, *TEXTS, cache_implementation="static") == expected
    monkeypatch.setattr(tiny_gpt2.generation_config, "cache_implementation", "static")
    assert generated(lm, *TEXTS) == expected


OTHER_PASSES = [
    ("guidance_scale", 1.5),
    ("prefill_chunk_size", 2),
    ("prompt_lookup_num_tokens", 2),
]


@pytest.mark.parametrize("decide_at", ["start", "every_step"])
@pytest.mark.parametrize(("name", "value"), OTHER_PASSES)
def test_settings_that_run_the_model_otherwise_are_refused(
    make_sna: Any, decide_at: str, name: str, value: Any
) -> None:
    """The first pass is the baseline's on the whole prompt, and each later one a token's."""
    lm = make_sna(**PLAN, gate="always", decide_at=decide_at)
    with pytest.raises(InputError, match=rf"generation_kwargs\.{name}: .*got {value}"):
        generated(lm, *TEXTS, **{name: value})


def test_such_settings_are_refused_beside_a_plan_alone(make_sna: Any, make_hf: Any) -> None:
    setting = {"prefill_chunk_size": 2}
    plain = make_sna(gate="never")
    assert generated(plain, *TEXTS, **setting) == generated(make_hf(), *TEXTS, **setting)
    gated = make_sna(**PLAN, gate="always")
    assert generated(gated, *TEXTS, guidance_scale=1.0) == generated(gated, *TEXTS)


def test_such_settings_are_found_with_the_model_too(
    make_sna: Any, tiny_gpt2: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiny_gpt2.generation_config, "guidance_scale", 1.5)
    with pytest.raises(InputError, match=r"generation_kwargs\.guidance_scale"):
        generated(make_sna(**PLAN, gate="always"), *TEXTS)


@pytest.mark.parametrize("decide_at", ["start", "every_step"])
def test_a_transformers_that_makes_its_processors_elsewhere(
    make_sna: Any, decide_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = make_sna(**PLAN, gate="always", decide_at=decide_at)
    monkeypatch.delattr(GenerationMixin, "_get_logits_processor")
    with pytest.raises(InputError, match=r"transformers: expected a release whose `generate`"):
        generated(lm, *TEXTS)


def test_beams_that_a_model_brings_along(
    make_sna: Any, tiny_gpt2: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = make_sna(**PLAN, gate="max_prob", low=0.05, high=1.0)
    asked = generated(lm, *TEXTS, num_beams=3)
    assert asked != generated(lm, *TEXTS), "beams find other texts"
    monkeypatch.setattr(tiny_gpt2.generation_config, "num_beams", 3)
    brought = generated(lm, *TEXTS)
    assert brought == asked
    assert [text.decision for text in brought] == [text.decision for text in asked]


@pytest.mark.parametrize("way", WAYS)
def test_an_overflow_is_seen_before_it_is_patched(make_sna: Any, tiny_gpt2: Any, way: str) -> None:
    """`generate` can put numbers in the place of what is none; the text is still replaced."""
    lm = make_sna(**PLAN, gate="always", **WAYS[way])
    assert lm.engine.abilities.resumes
    plain = generated(make_sna(**PLAN, gate="never"), *TEXTS)
    with overflow(tiny_gpt2, way) as hits:
        found = generated(lm, *TEXTS, remove_invalid_values=True)
    assert hits
    assert lm.ledger.overflowed == 1
    if way != "every_step":  # there it is the step alone that is the unmodified model's
        same = [text == other for text, other in zip(found, plain, strict=True)]
        assert same.count(True) == 1


def test_texts_are_made_one_by_one_where_both_do_not_fit(make_sna: Any) -> None:
    lm = make_sna(**PLAN, gate="always")
    expected = generated(make_sna(**PLAN, gate="always"), *TEXTS)
    widths, whole = list[int](), lm._model_generate

    def small(context: Any, *args: Any, **kwargs: Any) -> Any:
        widths.append(len(context))
        if len(context) > len(TEXTS):
            raise torch.OutOfMemoryError
        return whole(context, *args, **kwargs)

    lm._model_generate = small
    found = generated(lm, *TEXTS)
    assert found == expected
    assert [text.baseline for text in found] == [text.baseline for text in expected]
    assert widths == [2 * len(TEXTS), len(TEXTS), len(TEXTS)]


def test_amplified_passes_are_not_compiled(
    make_sna: Any, tiny_gpt2: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GPUs compile passes with a static cache; one compiled before would not run the hooks."""
    asked = []

    def compiles(model_kwargs: Any, config: Any) -> bool:
        asked.append(config.disable_compile)
        return False

    monkeypatch.setattr(tiny_gpt2, "_valid_auto_compile_criteria", compiles)
    generated(make_sna(**PLAN, gate="always"), "x", cache_implementation="static")
    assert asked == [None, True, None]  # to decide, amplified, and the baseline's text


def reads_again(model: Any) -> bool:
    """Whether transformers writes the same with its cache as without; 5.19 does not."""
    ids = torch.tensor([[5, 17, 33, 41, 7, 9]])
    with_cache, without = (
        model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=20, do_sample=False,
            use_cache=use_cache, pad_token_id=0, eos_token_id=None,
        )
        for use_cache in (True, False)
    )  # fmt: skip
    return torch.equal(with_cache, without)


@pytest.mark.parametrize("positions", ["all", "last", "continuation"])
def test_texts_that_outgrow_their_rotary_factors(make_sna: Any, positions: str) -> None:
    """Beyond its first length Phi-3 reads the whole text again, with factors of their own."""
    if not reads_again(long_rope()):
        pytest.skip("this transformers, the oracle, reads the last token alone there")
    start, every, plain = (
        generated(
            make_sna(long_rope(), **LAST, positions=positions, gate=gate, decide_at=when),
            *TEXTS, max_gen_toks=20,
        )
        for gate, when in (("always", "start"), ("always", "every_step"), ("never", "start"))
    )  # fmt: skip
    assert start == every != plain
