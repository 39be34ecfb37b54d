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
from sna_eval.gating import PAPER_BOUNDS, Gate
from sna_eval.harness.loading import load_lm
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
    for lm, own in zip(lms, expected, strict=True):
        assert answers(evaluate(CachingLM(lm, path), [TASK])) == own


def test_an_intervention_that_a_plan_names_twice_acts_twice(
    evaluate: Any, make_sna: Any, tmp_path: Path
) -> None:
    """Scoring took equal ones for one, generation and exports did not."""
    own = "layer: 2, neurons: [1, 5, 7]"
    scored = f"{{{own}, multiplier: 2.0, scores: [3.0, 2.0, 1.0]}}"
    gate = "gate: {signal: target_prob, mode: always}"

    def plan(*entries: str) -> str:
        path = tmp_path / f"{len(entries)}.yaml"
        path.write_text(
            f"version: 1\ntasks: {{own_choices: {{{gate}, interventions: [{', '.join(entries)}]}}}}"
        )
        return str(path)

    twice = make_sna(plan=plan(scored, f"{{{own}, multiplier: 2.0}}"))
    once = make_sna(plan=plan(f"{{{own}, multiplier: 4.0}}"))
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
    low, high = PAPER_BOUNDS["max_prob"]
    own = generated(make_sna(**{**PLAN, "gate": "max_prob", "low": low, "high": high}))
    assert all(isinstance(text, GeneratedText) for text in texts)
    zones = [text.decision.zone for text in texts]
    assert zones == [text.decision.zone for text in own]


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
    found = [resolve_task(task, bench, examples) for bench in (whole, halves, whole)]
    neurons = [own.interventions[0].neurons for own in found]
    assert neurons[0] == neurons[2] != neurons[1]
