"""Gated generation against token-by-token decoding with plain hooks, row by row."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from architectures.tiny import build, entries
from sna_eval.intervention import Intervention, Positions, amplify, find_sites
from sna_eval.intervention.prompt_pass import SharedPromptPass
from sna_eval.intervention.side_by_side import SideBySide
from tests.conftest import CONFIGS, FURTHER_CONFIGS, build_model, token_ids

LAYER = 2
NEW_TOKENS = 6
OPEN = torch.tensor([True, False, True])


RETURN_TUPLES = ("gptj", "bloom")


@pytest.fixture(scope="module", params=[*CONFIGS, *FURTHER_CONFIGS])
def model(request: pytest.FixtureRequest) -> Any:
    return build_model(request.param)


def prompts(model: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Three prompts, two of them padded on the left: ids and attention mask, `[3, 7]`."""
    ids, mask = token_ids(3, 7, seed=5), torch.ones(3, 7, dtype=torch.long)
    for row, padding in ((1, 2), (2, 3)):
        ids[row, :padding], mask[row, :padding] = 0, 0
    return ids, mask


def generate(model: Any, interventions: list[Intervention], rows: torch.Tensor) -> torch.Tensor:
    """The tested path; returns logits of every new token, `[batch, new token, vocabulary]`."""
    ids, mask = prompts(model)
    shared = SharedPromptPass(
        model,
        find_sites(model),
        interventions,
        decide=lambda log_probs: rows,
        returns_tuple=model.config.model_type in RETURN_TUPLES,
    )
    with shared.installed():
        output = model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=NEW_TOKENS,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
            output_logits=True,
            return_dict_in_generate=True,
        )
    return torch.stack(output.logits, dim=1)


@torch.no_grad()
def generate_both(
    model: Any, interventions: list[Intervention], rows: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Side by side: logits of the unmodified rows, and of the rows with open ones amplified."""
    ids, mask = prompts(model)
    both = SideBySide(
        model,
        find_sites(model),
        interventions,
        returns_tuple=model.config.model_type in RETURN_TUPLES,
    )
    settings = {"do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    settings |= {"output_logits": True, "return_dict_in_generate": True}
    with both.reading():
        model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=1, **settings)
    numbers = both.copy(rows)
    with both.installed():
        output = model.generate(
            input_ids=ids[numbers],
            attention_mask=mask[numbers],
            max_new_tokens=NEW_TOKENS,
            **settings,
        )
    logits = torch.stack(output.logits, dim=1)
    gated = logits[:3].index_copy(0, rows.nonzero().squeeze(1), logits[3:])
    return logits[:3], gated


@torch.no_grad()
def decode_plainly(
    model: Any, ids: torch.Tensor, interventions: list[Intervention]
) -> torch.Tensor:
    """Greedy decoding of one unpadded prompt without cache; logits `[new token, vocabulary]`."""
    prompt, logits = ids.shape[0], []
    for _ in range(NEW_TOKENS):
        width = ids.shape[0]

        def mask(intervention: Intervention, positions: int, width: int = width) -> torch.Tensor:
            index = torch.arange(width).unsqueeze(0)
            touched = {
                "all": index >= 0,
                "last": index == prompt - 1,
                "continuation": index >= prompt - 1,
            }
            return touched[intervention.positions]

        with amplify(model, interventions, mask=mask):
            logits.append(model(ids.unsqueeze(0)).logits[0, -1])
        ids = torch.cat([ids, logits[-1].argmax().view(1)])
    return torch.stack(logits)


def assert_rows(
    model: Any, got: torch.Tensor, interventions: list[Intervention], opened: torch.Tensor = OPEN
) -> None:
    ids, mask = prompts(model)
    for number in range(3):
        acting = interventions if bool(opened[number]) else []
        expected = decode_plainly(model, ids[number][mask[number].bool()], acting)
        torch.testing.assert_close(
            torch.log_softmax(got[number], -1),
            torch.log_softmax(expected, -1),
            atol=2e-5,  # a cache and left padding change the order of sums
            rtol=0,
        )


@pytest.mark.parametrize("positions", ["all", "last", "continuation"])
def test_open_and_closed_rows_in_one_batch(model: Any, positions: Positions) -> None:
    interventions = [Intervention(LAYER, (1, 5, 7), 3.0, positions)]
    assert_rows(model, generate(model, interventions, OPEN), interventions)


@pytest.mark.parametrize("positions", ["all", "last", "continuation"])
def test_both_texts_side_by_side(model: Any, positions: Positions) -> None:
    interventions = [Intervention(LAYER, (1, 5, 7), 3.0, positions)]
    unmodified, gated = generate_both(model, interventions, OPEN)
    assert_rows(model, unmodified, interventions, torch.zeros(3, dtype=torch.bool))
    assert_rows(model, gated, interventions)
    assert not any(projection._forward_pre_hooks for projection in find_sites(model).projections)
    assert not model._forward_hooks
    assert "forward" not in vars(model)


def test_nothing_opens_side_by_side(model: Any) -> None:
    closed = torch.zeros(3, dtype=torch.bool)
    both = generate_both(model, [Intervention(LAYER, (1,), 3.0)], closed)
    assert all(torch.equal(one, generate(model, [], closed)) for one in both)


def test_several_layers(model: Any) -> None:
    interventions = [Intervention(1, (1, 5), 2.0), Intervention(3, (2,), 3.0)]
    assert_rows(model, generate(model, interventions, OPEN), interventions)


def test_the_prompt_is_read_once_below_the_layer(model: Any) -> None:
    lengths: dict[int, list[int]] = {0: [], LAYER: []}
    handles = [
        find_sites(model)
        .projections[layer]
        .register_forward_pre_hook(
            lambda module, args, length=length: length.append(args[0].numel())
        )
        for layer, length in lengths.items()
    ]
    generate(model, [Intervention(LAYER, (1, 5, 7), 3.0)], OPEN)
    for handle in handles:
        handle.remove()
    assert len(lengths[0]) == NEW_TOKENS  # the prompt, then one token at a time
    assert len(lengths[LAYER]) == NEW_TOKENS + 1  # the prompt twice: the open rows go on from here


def test_closed_gates_change_nothing(model: Any) -> None:
    closed = torch.zeros(3, dtype=torch.bool)
    plain = generate(model, [], closed)
    assert torch.equal(generate(model, [Intervention(LAYER, (1,), 3.0)], closed), plain)
    assert not any(projection._forward_pre_hooks for projection in find_sites(model).projections)
    assert not model._forward_hooks


@pytest.mark.parametrize("name", ["jamba", "lfm2", "falcon_h1"])
def test_layers_that_keep_states_instead_of_keys(name: str) -> None:
    """Hybrids: an open row's states of convolutions and recurrences go on from its own prompt."""
    model = build(entries()[name])
    sites = find_sites(model)
    interventions = [Intervention(sites.layers[0], (1, 5, 7), 3.0)]
    assert_rows(model, generate(model, interventions, OPEN), interventions)
    assert_rows(model, generate_both(model, interventions, OPEN)[1], interventions)
