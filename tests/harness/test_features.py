"""Features of a dictionary under the gate, through lm_eval, against hooks on `--model hf`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sna_eval.errors import InputError
from sna_eval.export.source import Source
from sna_eval.harness.loading import load_tasks
from sna_eval.harness.tasks.development import examples_of
from sna_eval.neurons import neutral_sentences
from sna_eval.plan import Plan, load_plan, save_plan
from tests.harness.conftest import Evaluate, answers, flat_numbers
from tests.intervention.dictionaries import FEATURES, amplified_by_hand, write_sae_lens

LAYER, FACTOR, CHOSEN = 2, 5.0, (3, 17, 30, 41)
INLINE = {"layer": LAYER, "unit": "feature", "multiplier": FACTOR}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sae_lens(tmp_path_factory.mktemp("sae"), 32, "blocks.2.hook_resid_post")


def test_equals_hooks_on_hf(
    folder: Path, make_sna: Callable[..., Any], make_hf: Callable[..., Any], evaluate: Evaluate
) -> None:
    """Scores to 1e-5, greedy texts to the letter; a closed gate is `hf`."""
    tasks = ["own_choices", "own_generation", "own_rolling"]
    sna = make_sna(dictionary=str(folder), **INLINE, neurons="3;17;30;41", gate="always")
    got = answers(evaluate(sna, tasks))
    plain = make_hf()

    def change(module: Any, args: Any, output: Any) -> Any:
        state = output[0] if isinstance(output, tuple) else output
        changed = amplified_by_hand(state, CHOSEN, FACTOR)
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    handle = plain.model.transformer.h[LAYER].register_forward_hook(change)
    expected = answers(evaluate(plain, tasks))
    handle.remove()
    before = answers(evaluate(plain, tasks))
    assert got["own_generation"] == expected["own_generation"]
    for task in ("own_choices", "own_rolling"):
        values, wanted = flat_numbers(got[task]), flat_numbers(expected[task])
        assert values == pytest.approx(wanted, abs=1e-5 if task == "own_choices" else 1e-4)
        assert np.abs(np.subtract(wanted, flat_numbers(before[task]))).max() > 1e-2
    said = sna.describe()
    assert said["dictionary_hash"] == sna.sites.features.sha256
    closed = make_sna(dictionary=str(folder), **INLINE, neurons="3;17", gate="never")
    never = answers(evaluate(closed, ["own_choices"]))["own_choices"]
    assert flat_numbers(never) == pytest.approx(flat_numbers(before["own_choices"]), abs=1e-5)


def strengths(lm: Any, texts: list[str]) -> np.ndarray:
    """Mean activations over all tokens but the first, by a hook of this test's own."""
    parts = []
    for text in texts:
        kept: list[torch.Tensor] = []
        block = lm.model.transformer.h[LAYER]
        handle = block.register_forward_hook(
            lambda module, args, output, kept=kept: kept.append(
                output[0] if isinstance(output, tuple) else output
            )
        )
        with torch.no_grad():
            lm.model(torch.tensor([lm.tok_encode(text)]))
        handle.remove()
        state = kept[0].reshape(-1, 32)[1:].double()
        each = [amplified_by_hand(state, (i,), 2.0) - state for i in range(FEATURES)]
        written = torch.stack([lm.sites.features.projections[LAYER].written()[i].double()
                               for i in range(FEATURES)])  # fmt: skip
        parts.append(torch.stack([
            step @ direction / direction.square().sum()
            for step, direction in zip(each, written, strict=True)
        ], dim=-1))  # fmt: skip
    return np.asarray(torch.cat(parts).numpy().mean(axis=0))


def test_features_are_searched_as_neurons_are(
    folder: Path, own_tasks: Path, make_sna: Callable[..., Any], evaluate: Evaluate, tmp_path: Path
) -> None:
    """And the plan that is saved knows its dictionary."""
    lm = make_sna(dictionary=str(folder), **INLINE, top_k=4, gate="always")
    evaluate(lm, ["own_choices"], limit=2)
    task = lm.plans.resolved["own_choices"]
    (entry,) = task.interventions
    loaded = load_tasks(["own_choices"], include_path=own_tasks)["own_choices"]
    prompts = list(examples_of(loaded, 256).prompts)
    difference = strengths(lm, prompts) - strengths(lm, list(neutral_sentences()))
    order = np.argsort(-difference)[:4]
    assert list(entry.neurons[""]) == order.tolist()
    assert entry.scores[""] == pytest.approx(difference[order], abs=2e-5)
    assert entry.found.dictionary_hash == lm.sites.features.sha256
    save_plan(Plan({"own_choices": task}), tmp_path / "plan.yaml")
    assert load_plan(tmp_path / "plan.yaml").tasks["own_choices"] == task
    other = write_sae_lens(
        tmp_path / "other", 32, "blocks.2.hook_resid_post", architecture="jumprelu"
    )
    with pytest.raises(InputError, match=r"found\.dictionary_hash: expected"):
        make_sna(plan=str(tmp_path / "plan.yaml"), dictionary=str(other))
    with pytest.raises(InputError, match="unit: expected `mlp` or `head`, or a model with a dict"):
        make_sna(plan=str(tmp_path / "plan.yaml"))
    with pytest.raises(InputError, match="unit: expected mlp or head: weights hold no encoder"):
        Source(lm.model, lm.tokenizer, lm.sites, "own_choices", task, "tiny")
    lonely = replace(entry, neurons={"": (FEATURES,)}, scores=None, found=None)
    save_plan(Plan({"t": replace(task, interventions=(lonely,))}), tmp_path / "far.yaml")
    with pytest.raises(InputError, match="neurons: expected features from 0 to 47"):
        make_sna(plan=str(tmp_path / "far.yaml"), dictionary=str(folder))


@pytest.mark.parametrize("select", ["gradient", "random"])
def test_other_rankings(
    select: str, folder: Path, make_sna: Callable[..., Any], evaluate: Evaluate
) -> None:
    lm = make_sna(dictionary=str(folder), **INLINE, top_k=4, select=select, gate="always")
    evaluate(lm, ["own_choices"], limit=2)
    (entry,) = lm.plans.resolved["own_choices"].interventions
    assert len(set(entry.neurons[""])) == 4
    assert entry.found.method == select
