"""Wrong answers that were found in evaluations, each with what brought it to light."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import CachingLM

from sna_eval.errors import InputError
from sna_eval.gating import SIGNALS, Gate
from sna_eval.harness.loading import load_lm
from sna_eval.harness.model.kept import numerics
from sna_eval.harness.model.row_passes import _stacked
from sna_eval.harness.values import GeneratedText
from sna_eval.methods import Examples
from sna_eval.plan import PlannedIntervention, Selection, TaskPlan, resolve_task
from tests.harness.conftest import answers, flat_numbers

TASK = "own_choices"
PLAN = {"layer": 2, "neurons": "1;5;7", "multiplier": 6.0, "gate": "always"}


def test_answers_of_another_arithmetic_are_not_taken(
    evaluate: Any, make_sna: Any, tiny_gpt2: Any, tmp_path: Path
) -> None:
    """Weights that half precision holds exactly: the models' hashes agree, their scores do not."""
    path = str(tmp_path / "answers.db")
    narrow = copy.deepcopy(tiny_gpt2).to(torch.bfloat16)
    wide = copy.deepcopy(narrow).to(torch.float32)
    lms = [make_sna(model, **PLAN) for model in (wide, narrow)]
    assert lms[0].model_hash == lms[1].model_hash
    expected = [answers(evaluate(make_sna(model, **PLAN), [TASK])) for model in (wide, narrow)]
    assert expected[0] != expected[1]
    for lm, one in zip(lms, expected, strict=True):
        assert answers(evaluate(CachingLM(lm, path), [TASK])) == one


def test_an_intervention_that_a_plan_names_twice_acts_twice(
    evaluate: Any, make_sna: Any, tmp_path: Path
) -> None:
    """Scoring took equal ones for one, generation and exports did not."""
    neurons = "layer: 2, neurons: [1, 5, 7]"
    scored = f"{{{neurons}, multiplier: 2.0, scores: [3.0, 2.0, 1.0]}}"
    gate = "gate: {signal: target_prob, mode: always}"

    def plan(*entries: str) -> str:
        path = tmp_path / f"{len(entries)}.yaml"
        path.write_text(
            f"version: 1\ntasks: {{own_choices: {{{gate}, interventions: [{', '.join(entries)}]}}}}"
        )
        return str(path)

    twice = make_sna(plan=plan(scored, f"{{{neurons}, multiplier: 2.0}}"))
    once = make_sna(plan=plan(f"{{{neurons}, multiplier: 4.0}}"))
    half = make_sna(**{**PLAN, "multiplier": 2.0})
    found, expected, other = (
        flat_numbers(answers(evaluate(lm, [TASK]))) for lm in (twice, once, half)
    )
    assert found == pytest.approx(expected, abs=1e-5)
    assert found != pytest.approx(other, abs=1e-3)


def test_a_device_that_is_no_name() -> None:
    """`device=0` came as a number, and ended in a traceback."""
    with pytest.raises(InputError, match="device: expected a name such as cpu or cuda:0, got 0"):
        load_lm("pretrained=sna-reference,device=0", gate="never")


@pytest.mark.parametrize("kind", ["PromptTuningConfig", "PrefixTuningConfig"])
def test_adapters_that_learn_a_prompt(make_sna: Any, tiny_gpt2: Any, kind: str) -> None:
    """Every score was read as many positions early as there were learned tokens."""
    import peft

    config = getattr(peft, kind)(task_type="CAUSAL_LM", num_virtual_tokens=4)
    adapted = peft.get_peft_model(copy.deepcopy(tiny_gpt2), config).eval()
    with pytest.raises(InputError, match=r"peft: expected an adapter inside the model.*_TUNING"):
        make_sna(adapted, **PLAN)


def generated(lm: Any, **options: Any) -> list[str]:
    asked = {"until": ["zzz"], "max_gen_toks": 6, **options}
    texts = ("the cat sat on", "rain fell over the town", "a mat")
    requests = [
        Instance("generate_until", {}, (text, dict(asked)), number, ("own", number, 1))
        for number, text in enumerate(texts)
    ]
    return list(lm.generate_until(requests, disable_tqdm=True))


def test_beams_give_one_text_for_each_request(make_sna: Any, make_hf: Any) -> None:
    """A multiplier of one: beams end as those of the unmodified model."""
    plan = {**PLAN, "multiplier": 1.0}
    assert generated(make_sna(**plan), num_beams=3) == generated(make_hf(), num_beams=3)


def test_beams_that_overflow(make_sna: Any, make_hf: Any) -> None:
    """What overflows is written anew by the unmodified model, beam by beam."""
    lm = make_sna(**{**PLAN, "multiplier": 1e38})
    assert generated(lm, num_beams=3) == generated(make_hf(), num_beams=3)
    assert lm.ledger.overflowed == 3


def test_zones_of_texts_without_a_target(make_sna: Any) -> None:
    """`always` looks at no signal: zones are told by one that texts have."""
    texts = generated(make_sna(**PLAN))
    low, high = SIGNALS["max_prob"].low, SIGNALS["max_prob"].high
    made = generated(make_sna(**{**PLAN, "gate": "max_prob", "low": low, "high": high}))
    assert all(isinstance(text, GeneratedText) for text in texts)
    zones = [text.decision.zone for text in texts]
    assert zones == [text.decision.zone for text in made]


def test_a_plan_that_is_made_where_nothing_can_be_written(make_sna: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    plans = make_sna(plan="auto", auto_budget=2).plans
    plans.file = tmp_path / "file" / "plan.yaml"
    with pytest.raises(InputError, match="output: expected a path that can be written"):
        plans._save()


def test_neurons_kept_for_other_tokens_are_not_taken(make_sna: Any) -> None:
    """The same model, prompts and method; only the tokenizer reads the prompts otherwise."""
    lm = make_sna(**PLAN)
    entry = PlannedIntervention(2, 2.0, select=Selection(top_k=8))
    task = TaskPlan(Gate(mode="always"), (entry,))
    examples = Examples(tuple(f"the cat sat on {n} mats while rain fell" for n in range(4)))
    whole = lm.plans._bench
    halves = replace(whole, encode=lambda text: whole.encode(text)[::2])
    found = [resolve_task(task, bench, lambda most: examples) for bench in (whole, halves, whole)]
    neurons = [one.interventions[0].neurons for one in found]
    assert neurons[0] == neurons[2] != neurons[1]


def test_what_makes_a_model_another_beside_its_tensors(make_sna: Any, tiny_gpt2: Any) -> None:
    """A config and an adapter's scale are in no tensor: kept answers were taken for another's."""
    import peft

    config = peft.LoraConfig(target_modules=["c_proj"], r=2, lora_alpha=4)
    adapted = peft.get_peft_model(copy.deepcopy(tiny_gpt2), config).eval()
    lms = [make_sna(model, **PLAN) for model in (tiny_gpt2, copy.deepcopy(tiny_gpt2), adapted)]
    before = [numerics(lm) for lm in lms]
    assert before[0] == before[1] != before[2]
    lms[1].model.config.scale_attn_by_inverse_layer_idx = True
    adapted.peft_config["default"].lora_alpha = 8
    after = [numerics(lm) for lm in lms]
    assert after[0] == before[0]
    assert after[1] != before[1]
    assert after[2] != before[2]
    assert [lm.model_hash for lm in lms[:2]] == [lms[0].model_hash] * 2


def test_kept_items_that_overflowed_are_counted_as_such(
    evaluate: Any, make_sna: Any, tmp_path: Path
) -> None:
    """The second run said that nothing had overflowed, of the same answers."""
    counted = []
    for _ in range(2):
        lm = make_sna(**{**PLAN, "multiplier": 1e38})
        evaluate(CachingLM(lm, str(tmp_path / "answers.db")), [TASK])
        counted.append(lm.counts.overflowed)
    assert counted[0] == counted[1] > 0


def test_no_device_is_the_default_one() -> None:
    """`device=None` was a traceback."""
    lm = load_lm("pretrained=sna-reference,device=None", gate="never")
    assert lm.device.type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_a_context_of_white_space(make_sna: Any) -> None:
    """Its spaces are scored with the target, and nothing was left to predict it from."""
    request = Instance("loglikelihood", {}, ("  ", "the cat"), 0, metadata=("own", 3, 1))
    with pytest.raises(InputError, match=r"own: expected a context of at least one token.*ment 3"):
        make_sna(**PLAN).loglikelihood([request], disable_tqdm=True)


def test_zones_of_rolling_texts_behind_an_open_gate(make_sna: Any) -> None:
    """The bounds of another signal said nothing about a text's mean probability."""
    text = "the cat sat on a mat while rain fell"

    def zone(**gate: Any) -> int:
        request = Instance("loglikelihood_rolling", {}, (text,), 0, metadata=("own", 0, 1))
        lm = make_sna(**{**PLAN, **gate})
        (answer,) = lm.loglikelihood_rolling([request], disable_tqdm=True)
        return int(answer.evidence.zone)

    assert zone(gate="always", low=0.3, high=0.6) == zone(gate="target_prob")
    plan = make_sna(**PLAN).plan
    margin = plan.with_gate(lambda gate: Gate("margin", 1e-9, 2e-9, mode="always"))
    lm = make_sna(**PLAN)
    lm.plan = margin
    request = Instance("loglikelihood_rolling", {}, (text,), 0, metadata=("own", 0, 1))
    (answer,) = lm.loglikelihood_rolling([request], disable_tqdm=True)
    assert answer.evidence.zone == zone(gate="target_prob")


def test_streams_of_four_dimensions_are_put_together() -> None:
    rows = [torch.rand(length, 4, 8) for length in (3, 5)]
    whole = _stacked(rows, 6)
    assert whole.shape == (2, 6, 4, 8)
    for row, one in zip(rows, whole, strict=True):
        assert torch.equal(one[: len(row)], row)
        assert not one[len(row) :].any()


def test_a_model_that_generates_its_own_way(
    make_sna: Any, tiny_gpt2: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Repositories with code of their own replace `generate`; the gate was never asked."""
    monkeypatch.setattr(tiny_gpt2, "generate", tiny_gpt2.generate, raising=False)
    with pytest.raises(InputError, match=r"generation_kwargs.generate: expected transformers' own"):
        generated(make_sna(**PLAN))


def test_a_prediction_needs_a_choice(evaluate: Any, make_sna: Any, tmp_path: Path) -> None:
    """With one continuation the "predicted" label was the right answer's: an unmarked oracle."""

    def lm(neurons: str) -> Any:
        entry = f"{{layer: 2, multiplier: 6.0, direction: predicted, neurons: {neurons}}}"
        text = f"version: 1\ntasks: {{'*': {{gate: always, interventions: [{entry}]}}}}"
        (tmp_path / "plan.yaml").write_text(text)
        return make_sna(plan=str(tmp_path / "plan.yaml"))

    with pytest.raises(InputError, match=r"sna_math_easy\.direction: .* got 'predicted'"):
        evaluate(lm("{seven: [1, 5], two: [7]}"), ["sna_math_easy"], limit=2)
    evaluate(lm("[1, 5, 7]"), ["sna_math_easy"], limit=2)  # of no label: nothing is predicted


def test_neurons_kept_for_another_dtype_are_not_taken(make_sna: Any, tiny_gpt2: Any) -> None:
    """Half-precision weights have one hash however they are loaded."""
    narrow = copy.deepcopy(tiny_gpt2).to(torch.bfloat16)
    wide = copy.deepcopy(narrow).to(torch.float32)
    examples = Examples(tuple(f"the cat sat on {n} mats while rain fell" for n in range(4)))
    entry = PlannedIntervention(2, 2.0, select=Selection(top_k=8))
    task = TaskPlan(Gate(mode="always"), (entry,))
    benches = [make_sna(model, **PLAN).bench for model in (narrow, wide)]
    found = [resolve_task(task, bench, lambda most: examples) for bench in benches]
    scores = [one.interventions[0].scores for one in found]
    assert scores[0] != scores[1]


def test_each_result_file_counts_its_own_run(evaluate: Any, make_sna: Any) -> None:
    """A second run with the same model said what both had done, of the first one's tasks too."""
    lm = make_sna(**PLAN)
    evaluate(lm, [TASK], limit=3)
    first = lm.get_model_info()["sna"]
    assert lm.get_model_info()["sna"] == first, "asked twice, it says the same"
    evaluate(lm, ["sna_math_easy"], limit=2)
    second = lm.get_model_info()["sna"]
    assert list(first["tasks"]) == [TASK]
    assert list(second["tasks"]) == ["sna_math_easy"]
    assert second["tasks"]["sna_math_easy"]["items"] == 2
    alone = make_sna(**PLAN)
    evaluate(alone, ["sna_math_easy"], limit=2)
    assert alone.get_model_info()["sna"] == second


def test_requests_made_by_hand(make_sna: Any, make_hf: Any) -> None:
    """They say of no task and of no repeats; rolling and generation ended in a traceback."""
    lm = make_sna(**{**PLAN, "gate": "max_prob", "low": 0.0, "high": 0.0})
    asked = {"until": ["zzz"], "max_gen_toks": 4}
    for method, arguments in (
        ("generate_until", ("the cat sat", asked)),
        ("loglikelihood", ("the cat", " sat on")),
    ):
        requests = [Instance(method, {}, arguments, 0)]
        found, plain = (
            getattr(one, method)(requests, disable_tqdm=True) for one in (lm, make_hf())
        )
        assert found == plain or flat_numbers(found) == pytest.approx(flat_numbers(plain))
    requests = [Instance("loglikelihood_rolling", {}, ("the cat sat on",), 0)]
    (value,) = make_sna(**PLAN).loglikelihood_rolling(requests, disable_tqdm=True)
    assert value.evidence.amplified


def test_one_task_twice_in_a_run(make_sna: Any) -> None:
    """With other examples, its documents were joined, and their choices with them."""
    lm = make_sna(**{**PLAN, "gate": "margin"})
    contexts = ("the cat sat on", "rain fell. the cat sat on")
    requests = [
        Instance("loglikelihood", {}, (context, choice), place, ("own", 0, 1))
        for context in contexts
        for place, choice in enumerate((" a mat", " the town"))
    ]
    both = lm.loglikelihood(requests, disable_tqdm=True)
    alone = [
        answer
        for first in (0, 2)
        for answer in lm.loglikelihood(requests[first : first + 2], disable_tqdm=True)
    ]
    assert flat_numbers(both) == pytest.approx(flat_numbers(alone), abs=1e-5)
    zones = [[value.evidence.confidence for value, _ in one] for one in (both, alone)]
    assert zones[0] == pytest.approx(zones[1], abs=1e-5)
    assert zones[0][0] != pytest.approx(zones[0][2], abs=1e-4)


@pytest.mark.parametrize("size", [0, -1, "0", "x"])
def test_batch_sizes_that_are_none(make_sna: Any, size: Any) -> None:
    with pytest.raises(InputError, match="batch_size: expected 1 or more, or auto, got"):
        make_sna(**PLAN, batch_size=size)


def test_a_gate_that_never_opens_leaves_generation_to_hf(make_sna: Any, make_hf: Any) -> None:
    """There is nothing to decide, however `generate` runs the model."""
    lm = make_sna(**{**PLAN, "gate": "never"})
    setting = {"prefill_chunk_size": 2}
    assert generated(lm, **setting) == generated(make_hf(), **setting)
