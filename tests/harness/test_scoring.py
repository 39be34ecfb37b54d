"""Amplified answers through lm_eval's evaluator, against folded weights under `--model hf`."""

from __future__ import annotations

import copy
import math
from multiprocessing import Pipe
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lm_eval.api.task import ConfigurableTask

from sna_eval.errors import InputError
from sna_eval.gating import SIGNALS, NextTokenSignal
from sna_eval.gating.signals.margin import margin
from sna_eval.harness.values import Evidence, GeneratedText, Score, evidence_of
from sna_eval.intervention import find_sites
from sna_eval.intervention.decoder import steady_width
from sna_eval.intervention.shortcuts import fits_window
from tests.conftest import VOCABULARY, build_model
from tests.harness.conftest import answers, flat_numbers, long_rope

NEURONS = (1, 5, 7)
FACTOR = 6.0
LAYER = 2
ALWAYS = {"layer": LAYER, "neurons": "1;5;7", "multiplier": FACTOR, "gate": "always"}
TASKS = ["sna_math_easy", "sna_poetry_medium", "own_choices", "own_rolling", "own_generation"]


def close(expected: list[float]) -> Any:
    """1e-5; for sums over whole texts two units in the last place of float32, which are more."""
    return pytest.approx(expected, abs=1e-5, rel=2**-22)


@pytest.fixture(scope="module")
def folded(tiny_gpt2: Any) -> Any:
    model = copy.deepcopy(tiny_gpt2)
    with torch.no_grad():
        find_sites(model).projections[LAYER].weight[list(NEURONS)] *= FACTOR  # type: ignore[index,operator]
    return model


@pytest.fixture(scope="module")
def baseline(evaluate: Any, make_hf: Any) -> Any:
    return evaluate(make_hf(), TASKS)


@pytest.fixture(scope="module")
def amplified(evaluate: Any, make_hf: Any, folded: Any) -> Any:
    return evaluate(make_hf(folded), TASKS)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_always_equals_folded_weights(
    evaluate: Any, make_sna: Any, amplified: Any, baseline: Any, batch_size: int, strict: bool
) -> None:
    got = evaluate(make_sna(batch_size=batch_size, strict=strict, **ALWAYS), TASKS)
    assert answers(got)["own_generation"] == answers(amplified)["own_generation"]
    numbers = flat_numbers(answers(got))
    assert numbers == close(flat_numbers(answers(amplified)))
    before = flat_numbers(answers(baseline))
    assert max(abs(a - b) for a, b in zip(numbers, before, strict=True)) > 0.01


def test_heads_equal_folded_weights(
    evaluate: Any, make_sna: Any, make_hf: Any, tiny_gpt2: Any
) -> None:
    """Two of four attention heads, each eight inputs of the attention's output projection wide."""
    lm = make_sna(unit="head", **{**ALWAYS, "neurons": "0;3"})
    got = answers(evaluate(lm, TASKS))
    folded = copy.deepcopy(tiny_gpt2)
    with torch.no_grad():
        for start in (0, 24):
            folded.transformer.h[LAYER].attn.c_proj.weight[start : start + 8] *= FACTOR
    expected = answers(evaluate(make_hf(folded), TASKS))
    assert got["own_generation"] == expected["own_generation"]
    assert flat_numbers(got) == close(flat_numbers(expected))
    plain = flat_numbers(answers(evaluate(make_hf(), TASKS)))
    assert max(abs(a - b) for a, b in zip(flat_numbers(got), plain, strict=True)) > 0.01
    assert lm.describe()["tasks"]["own_choices"]["interventions"][0]["unit"] == "head"
    assert lm.ledger.resumed_rows[LAYER] > 0


def test_a_common_beginning_is_read_once(
    evaluate: Any, make_sna: Any, make_hf: Any, folded: Any
) -> None:
    lm = make_sna(**ALWAYS)
    got = answers(evaluate(lm, ["own_described", "own_choices"]))
    expected = answers(evaluate(make_hf(folded), ["own_described", "own_choices"]))
    assert flat_numbers(got) == close(flat_numbers(expected))
    alone = make_sna(**ALWAYS)
    evaluate(alone, ["own_choices"])
    described = [one.describe()["passes"] for one in (lm, alone)]
    beginnings = described[0]["shared_tokens"] - 2 * described[1]["shared_tokens"]
    assert beginnings >= 5 * 4 * 16  # documents, choices, tokens of the description at the least
    assert described[0]["resumed_rows"] == {"2": 10}


@pytest.mark.parametrize("batch_size", [1, 8])
def test_contexts_longer_than_the_model(
    evaluate: Any, make_sna: Any, make_hf: Any, batch_size: int
) -> None:
    """Contexts lose their beginning as in lm_eval, differently for choices of different length."""
    model = build_model("gpt2", n_positions=16, vocab_size=VOCABULARY)
    folded_model = copy.deepcopy(model)
    with torch.no_grad():
        weight = find_sites(folded_model).projections[LAYER].weight
        weight[list(NEURONS)] *= FACTOR  # type: ignore[index,operator]
    tasks = ["own_choices", "own_described"]
    lm = make_sna(model, batch_size=batch_size, **ALWAYS)
    got = answers(evaluate(lm, tasks, shots=2))
    expected = answers(evaluate(make_hf(folded_model), tasks, shots=2))
    assert flat_numbers(got) == close(flat_numbers(expected))


def test_many_long_choices_keep_rows_short(make_sna: Any, make_hf: Any, folded: Any) -> None:
    """Twenty choices of a quarter of the window: one row of all would be several windows wide."""
    from lm_eval.api.instance import Instance

    words = ["the", "cat", "sat", "on", "a", "mat", "while", "rain", "fell", "over", "town"]
    texts = [" ".join(words[(n * k + k) % 11] for k in range(40 + n)) for n in range(21)]
    made = [
        Instance("loglikelihood", {}, (texts[0], f" {text}"), n, metadata=("long", 7, 1))
        for n, text in enumerate(texts[1:])
    ]
    lm = make_sna(batch_size=2, **ALWAYS)
    widths: list[int] = []
    look = lm.sites.blocks[0].register_forward_pre_hook(
        lambda module, args: widths.append(args[0].shape[1])
    )
    got = lm.loglikelihood(made, disable_tqdm=True)
    look.remove()
    encoded = [len(lm.tok_encode(request.args[0] + request.args[1])) for request in made]
    assert max(widths) <= 2 * max(encoded)
    assert lm.describe()["passes"]["shared_tokens"] > 0
    expected = make_hf(folded).loglikelihood(made, disable_tqdm=True)
    assert [float(value) for value, _ in got] == close([float(value) for value, _ in expected])
    before = make_hf().loglikelihood(made, disable_tqdm=True)
    evidence = [evidence_of(value) for value, _ in got]
    found = [one.baseline for one in evidence if one is not None]
    assert found == close([float(value) for value, _ in before])


def test_samples_hold_both_answers(
    evaluate: Any, make_sna: Any, amplified: Any, baseline: Any
) -> None:
    got = evaluate(make_sna(**ALWAYS), ["sna_math_easy"])
    for told, before, after in zip(
        *(
            sorted(run["samples"]["sna_math_easy"], key=lambda sample: sample["doc_id"])
            for run in (got, baseline, amplified)
        ),
        strict=True,
    ):
        assert told["baseline_prob"] == pytest.approx(before["prob"], abs=1e-6)
        assert told["prob"] == pytest.approx(after["prob"], abs=1e-6)
        assert told["delta_prob"] == pytest.approx(after["prob"] - before["prob"], abs=1e-6)
        assert told["decision"] == 1.0
        assert told["zone"] in (1.0, 2.0, 3.0)
        assert told["confidence"] == pytest.approx(told["baseline_prob"])


def test_improvement_is_of_the_means(
    evaluate: Any, make_sna: Any, amplified: Any, baseline: Any
) -> None:
    got = evaluate(make_sna(**ALWAYS), ["sna_math_easy"])["results"]["sna_math_easy"]
    before, after = (run["results"]["sna_math_easy"]["prob,none"] for run in (baseline, amplified))
    assert got["improvement_pct,none"] == pytest.approx((after - before) / before * 100, rel=1e-3)


def test_the_gate_mixes_the_two_models_item_by_item(
    evaluate: Any, make_sna: Any, amplified: Any, baseline: Any
) -> None:
    before = {s["doc_id"]: s for s in baseline["samples"]["own_choices"]}
    after = {s["doc_id"]: s for s in amplified["samples"]["own_choices"]}
    margins = {
        number: margin([response[0][0] for response in sample["resps"]])
        for number, sample in before.items()
    }
    ordered, half = sorted(margins.values()), len(margins) // 2
    middle = (ordered[half - 1] + ordered[half]) / 2  # no document at the bound itself
    gate = {"gate": "margin", "low": middle, "high": 1.0}
    lm = make_sna(**{**ALWAYS, **gate})
    got = evaluate(lm, ["own_choices"])
    opened = 0
    for sample in got["samples"]["own_choices"]:
        number = sample["doc_id"]
        is_open = margins[number] < middle
        opened += is_open
        expected = (after if is_open else before)[number]["resps"]
        assert flat_numbers(sample["resps"]) == close(flat_numbers(expected))
    assert 0 < opened < len(margins)
    assert lm.ledger.tasks["own_choices"].amplified == opened


@pytest.mark.parametrize("signal", ["max_prob", "entropy"])
def test_next_token_signals(evaluate: Any, make_sna: Any, signal: str, tiny_gpt2: Any) -> None:
    """Strict and fast runs agree on confidence, and on the decisions that follow."""
    runs = []
    for strict in (False, True):
        plan = {**ALWAYS, "gate": signal, "low": 0.02, "high": 0.5}
        samples = evaluate(make_sna(strict=strict, **plan), ["sna_math_easy"])["samples"]
        runs.append(sorted(samples["sna_math_easy"], key=lambda sample: sample["doc_id"]))
    for fast, strict_sample in zip(*runs, strict=True):
        assert fast["confidence"] == pytest.approx(strict_sample["confidence"], abs=1e-6)
        assert fast["decision"] == strict_sample["decision"]
        assert 0 <= fast["confidence"] <= 1


def second_prob(log_probs: torch.Tensor) -> torch.Tensor:
    return log_probs.topk(2, dim=-1).values[..., 1].exp()


def test_a_signal_of_ones_own_is_measured_and_its_bounds_count(
    evaluate: Any, make_sna: Any, make_hf: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Registering it is all: the passes keep what it reads, and no other signal stands in."""
    next_token_signal = NextTokenSignal(
        name="second", words="of the second likeliest", low=0.001, high=0.9, measure=second_prob
    )
    monkeypatch.setitem(SIGNALS, "second", next_token_signal)
    lm = make_sna(**{**ALWAYS, "gate": "second"})
    (sample,) = evaluate(lm, ["sna_math_easy"], limit=1)["samples"]["sna_math_easy"]
    context = lm.tok_encode(sample["arguments"][0][0])
    with torch.no_grad():
        logits = lm.model(torch.tensor([context])).logits[0, -1].float()
    expected = float(torch.softmax(logits, -1).sort(descending=True).values[1])
    assert sample["confidence"] == pytest.approx(expected, abs=1e-6)
    assert sample["zone"] == (1 if expected < 0.001 else 2)
    gate = lm.plan.tasks["*"].gate
    assert (gate.low, gate.high, gate.sees_answer) == (0.001, 0.9, False)


class MutualInformation(ConfigurableTask):
    """A task that asks for every choice without its context too."""

    def __init__(self, instances: list[Any], choices: list[str]) -> None:
        self._instances, self._choices = instances, choices
        self._metric_fn_list = self._aggregation_list = {"acc_mutual_info": None}

    def doc_to_choice(self, doc: Any, doc_to_choice: Any = None) -> list[str]:
        return self._choices


@pytest.mark.parametrize("name", ["gpt2", "bloom"])
@pytest.mark.parametrize("strict", [False, True])
def test_each_context_of_the_answers_counts_once(make_sna: Any, name: str, strict: bool) -> None:
    """However many rows it takes; what is asked without the context counts for nothing.

    Choices of different length leave room for different parts of a long context. Bloom gives each
    choice a row of its own, GPT-2 those of one context together.
    """
    from lm_eval.api.instance import Instance

    model = build_model(name, vocab_size=VOCABULARY)
    gate = {"gate": "entropy", "low": 0.1, "high": 0.9}
    lm = make_sna(
        model, layer=2, neurons="1;5", multiplier=2.0, max_length=24, strict=strict, **gate
    )
    context = " ".join(["the", "cat", "sat", "on", "a", "mat", "while", "rain"] * 5)
    choices = [" on a mat", " mat on a", " a mat on", " on and on and over the town"]
    pairs = [(given, text) for given in (context, "") for text in choices]
    made = [
        Instance("loglikelihood", {}, pair, n, metadata=("own", 0, 1))
        for n, pair in enumerate(pairs)
    ]
    asked = MutualInformation(made, choices)
    answers = lm.loglikelihood(made, disable_tqdm=True)
    assert asked.instances is made  # the task is alive until here
    encoded = [lm._encode_pair(context, text) for text in choices]
    seen = {tuple(before[-(25 - len(after)) :]) for before, after in encoded}
    assert 1 < len(seen) < len(choices)
    with torch.no_grad():
        read = [
            torch.log_softmax(model(torch.tensor([entering])).logits[0, -1], -1)
            for entering in seen
        ]
    values = [float(1 + (one.exp() * one).sum() / math.log(len(one))) for one in read]
    (found,) = {made.confidence for value, _ in answers if (made := evidence_of(value)) is not None}
    assert found == pytest.approx(sum(values) / len(values), abs=1e-5)


def test_overflow_keeps_the_baseline(
    evaluate: Any, make_sna: Any, make_hf: Any, tiny_gpt2: Any
) -> None:
    model = copy.deepcopy(tiny_gpt2).half()
    tasks = ["sna_math_easy", "own_choices"]
    lm = make_sna(model, **{**ALWAYS, "multiplier": 1e9})
    got = answers(evaluate(lm, tasks))
    assert all(math.isfinite(number) for number in flat_numbers(got))
    assert lm.ledger.tasks["sna_math_easy"].overflowed == 6
    expected = answers(evaluate(make_hf(model), tasks))
    assert flat_numbers(got) == pytest.approx(flat_numbers(expected), abs=0.05)


def test_margins_need_choices(evaluate: Any, make_sna: Any) -> None:
    lm = make_sna(**{**ALWAYS, "gate": "margin"})
    with pytest.raises(InputError, match=r"sna_math_easy.gate.signal: .* got 'margin'"):
        evaluate(lm, ["sna_math_easy"])


@pytest.mark.parametrize(
    ("task", "gate"), [("own_rolling", "entropy"), ("own_generation", "margin")]
)
def test_signals_that_do_not_apply(evaluate: Any, make_sna: Any, task: str, gate: str) -> None:
    with pytest.raises(InputError, match=r"gate.signal: expected"):
        evaluate(make_sna(**{**ALWAYS, "gate": gate}), [task])


def sent(value: Any) -> Any:
    """The value as another process receives it."""
    here, there = Pipe()
    here.send(value)
    return there.recv()


def test_scores_survive_what_lm_eval_does_to_them() -> None:
    evidence = Evidence(-2.0, False, 1, 0.05, True, True)
    score = Score(-1.5, evidence)
    assert sent(score) == score
    assert sent(score).evidence == evidence
    assert copy.deepcopy(score).evidence == evidence
    assert evidence_of(score) == evidence
    assert evidence_of(-1.5) is None
    text = GeneratedText("so")
    assert sent(text) == "so"


def test_rotary_factors_that_go_by_the_length_of_a_text(
    evaluate: Any, make_sna: Any, make_hf: Any
) -> None:
    """A beginning that was computed alone, or a row that went on in another batch, had others.

    `hf` goes by the longest text of a batch, so only one by one do its own scores stay the same.
    """
    model = long_rope(24)
    tasks = ["own_described", "own_choices"]
    plan = {"layer": 2, "neurons": "1;5;7", "multiplier": 6.0, "gate": "max_prob"}
    plain = flat_numbers(answers(evaluate(make_hf(model, batch_size=1), tasks)))
    lms = [
        make_sna(model, batch_size=1, strict=strict, low=low, high=1.0, **plan)
        for strict, low in ((False, 0.0), (False, 0.05), (True, 0.05))
    ]
    closed, found, strict = (flat_numbers(answers(evaluate(lm, tasks))) for lm in lms)
    assert closed == pytest.approx(plain, abs=1e-5)
    assert found == pytest.approx(strict, abs=1e-5)
    assert found != pytest.approx(plain, abs=1e-3)
    assert lms[1].counts.full_rows
    assert not lms[1].counts.resumed_rows


@pytest.mark.parametrize(
    ("config", "width"),
    [
        ({}, math.inf),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 1.0}}, math.inf),
        ({"rope_parameters": {"rope_type": "longrope", "original_max_position_embeddings": 8}}, 8),
        ({"rope_parameters": {"rope_type": "dynamic", "factor": 2.0}}, 99),
        ({"rope_parameters": {"full_attention": {"rope_type": "dynamic"}}}, 99),
        ({"attention_chunk_size": 64}, 64),
    ],
)
def test_how_long_a_text_may_be_to_be_computed_in_parts(
    config: dict[str, Any], width: float
) -> None:
    model = SimpleNamespace(config=SimpleNamespace(max_position_embeddings=99, **config))
    assert steady_width(model) == width
    assert fits_window(model, 8)
    assert fits_window(model, 100) == (width == math.inf)
