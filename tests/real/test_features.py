"""Features of a random dictionary on real weights, against a hook of the test's own, in float64."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch

from sna_eval.intervention import Intervention, amplify, find_sites
from sna_eval.intervention.dictionary import read_dictionary
from tests.intervention.dictionaries import amplified_by_hand, write_sae_lens
from tests.real.conftest import Load

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
