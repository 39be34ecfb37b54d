"""Features of random dictionaries on real weights, against hooks of the tests' own, in float64."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sna_eval.harness.lm import SNALM
from sna_eval.harness.loading import load_tasks
from sna_eval.intervention import Intervention, amplify, find_sites
from sna_eval.intervention.dictionary import read_dictionary
from sna_eval.study.sweep import ScreenOptions, Sweep, SweepOptions, run_sweep
from tests.intervention.dictionaries import amplified_by_hand, write_sae_lens
from tests.real.conftest import Load

TASK = "sna_logic_easy"
CHOSEN, FACTOR = (3, 17, 30, 41), 3.0


@pytest.mark.parametrize("kind", ["relu", "jumprelu"])
def test_equals_a_plain_hook(real: Path, load: Load, kind: str, tmp_path: Path) -> None:
    lm = load(real)
    model = deepcopy(lm.model).double()
    plain = find_sites(model)
    layer = plain.n_layers // 2
    folder = write_sae_lens(
        tmp_path, plain.d_model, f"blocks.{layer}.hook_resid_post",
        architecture="standard" if kind == "relu" else kind,
    )  # fmt: skip
    sites = plain.with_features(model, [read_dictionary(folder)])
    ids = torch.tensor([lm.tok_encode("The sum of seven and five is twelve, and the rest is")])

    def change(module: Any, args: Any, output: Any) -> Any:
        state = output[0] if isinstance(output, tuple) else output
        changed = amplified_by_hand(state, CHOSEN, FACTOR, kind=kind)
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    with torch.no_grad():
        before = model(ids).logits.log_softmax(-1)
        handle = plain.blocks[layer].register_forward_hook(change)
        expected = model(ids).logits.log_softmax(-1)
        handle.remove()
        with amplify(model, [Intervention(layer, CHOSEN, FACTOR, unit="feature")], sites=sites):
            found = model(ids).logits.log_softmax(-1)
        assert torch.equal(model(ids).logits.log_softmax(-1), before)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert (expected - before).abs().max() > 1e-3


def test_a_screened_sweep_equals_plain_hooks(smollm2: Path, load: Load, tmp_path: Path) -> None:
    """Features that the task's prompts activate, behind a block and behind attention; with near
    multipliers, what the gradient predicts too."""
    own = load(smollm2)
    places = {9: "hook_resid_post", 21: "hook_attn_out"}
    folders = [
        write_sae_lens(tmp_path / str(layer), 576, f"blocks.{layer}.{place}")
        for layer, place in places.items()
    ]
    lm = SNALM(
        pretrained=deepcopy(own.model).double(), tokenizer=own.tokenizer, gate="never",
        dictionary=";".join(map(str, folders)),
    )  # fmt: skip
    tasks = load_tasks([TASK])
    asked = SweepOptions(
        tasks=(TASK,), unit="feature", n_neurons=(1, 4), multipliers=(0.99, 3.0), limit=4,
        max_prompts=8, screen=ScreenOptions(verify=1.0, sample=1.0),
    )  # fmt: skip
    sweep = Sweep(asked, lm=lm, tasks=tasks)
    store = run_sweep(sweep, tmp_path / "store", quiet=True)
    assert sweep.routes == {9: "behind", 21: "at"}
    ranked = store.neurons().to_pandas().sort_values("rank")
    requests = [item.requests[0] for item in sweep.subjects[TASK].items.items]

    def probs() -> np.ndarray:
        found = []
        for request in requests:
            ids = torch.tensor([[*request.context, *request.continuation]])
            with torch.no_grad():
                log_probs = lm.model(ids).logits[0].log_softmax(-1)
            start = len(request.context) - 1
            found.append(sum(float(log_probs[start + n, token])
                             for n, token in enumerate(request.continuation)))  # fmt: skip
        return np.exp(found)

    before = probs()
    for row in store.configurations().to_pylist():
        features = tuple(ranked[ranked["layer"] == row["layer"]]["neuron"][: row["n_neurons"]])

        def change(
            module: Any, args: Any, output: Any, features: tuple[int, ...] = features,
            factor: float = row["multiplier"],
        ) -> Any:  # fmt: skip
            state = output[0] if isinstance(output, tuple) else output
            changed = amplified_by_hand(state, features, factor)
            return (changed, *output[1:]) if isinstance(output, tuple) else changed

        block = lm.model.model.layers[row["layer"]]
        handle = (block if row["layer"] == 9 else block.self_attn).register_forward_hook(change)
        after = probs()
        handle.remove()
        assert row["baseline_prob"] == pytest.approx(before.mean(), rel=1e-5)
        assert row["amplified_prob"] == pytest.approx(after.mean(), rel=1e-5)
        effect = after.mean() - before.mean()
        if row["multiplier"] == 3.0:
            assert abs(effect) > 1e-5
        else:
            predicted = row["predicted_prob"] - row["baseline_prob"]
            assert predicted == pytest.approx(effect, rel=0.1, abs=1e-8)
