"""One question against plain forward passes, plain hooks and the weights themselves."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sna_eval.app.core.mapping import MapConfig, map_layers
from sna_eval.app.core.models import Shelf
from sna_eval.app.core.setting import PromptSource
from sna_eval.app.core.trying import TryConfig, TryResult, try_it
from sna_eval.app.core.workspace import Workspace
from sna_eval.errors import InputError
from sna_eval.gating import Gate
from sna_eval.harness.loading import load_lm
from tests.app.conftest import SENTIMENT, TEN, a_setting, always
from tests.conftest import VOCABULARY, build_model

SST2 = PromptSource(None, ("a fine film", "a bad film"), ("The sea is wide.", "Rain fell."))


@pytest.fixture(scope="module")
def tried(workspace: Workspace) -> TryResult:
    return try_it(workspace, TryConfig(TEN, a_setting()))


def logits(workspace: Workspace, text: str, hook: Any = None) -> torch.Tensor:
    """Next-token logits of a plain forward pass, with a hook written here on layer 4."""
    model = workspace.lm.model
    ids = torch.tensor([workspace.lm.tok_encode(text)])
    handle = None
    if hook is not None:
        handle = model.transformer.h[4].mlp.c_proj.register_forward_pre_hook(hook)
    try:
        with torch.no_grad():
            return model(ids).logits[0, -1]
    finally:
        if handle is not None:
            handle.remove()


def times(neurons: tuple[int, ...], factor: float) -> Any:
    def hook(module: Any, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor]:
        changed = args[0].clone()
        changed[..., list(neurons)] *= factor
        return (changed,)

    return hook


def test_both_sides_are_what_plain_passes_say(workspace: Workspace, tried: TryResult) -> None:
    (target,) = workspace.lm.tok_encode(" ten")
    neurons = tried.entry.neurons[""]  # type: ignore[index]
    before = logits(workspace, TEN.prompt).softmax(-1)
    after = logits(workspace, TEN.prompt, times(neurons, 2.4)).softmax(-1)
    assert tried.before.prob == pytest.approx(float(before[target]), abs=1e-5)
    assert tried.amplified.prob == pytest.approx(float(after[target]), abs=1e-5)
    assert tried.after is tried.amplified
    for side, oracle in ((tried.before, before), (tried.amplified, after)):
        best = oracle.topk(10)
        assert [text for text, _ in side.top] == [
            workspace.lm.tok_decode([token]) for token in best.indices.tolist()
        ]
        assert [prob for _, prob in side.top] == pytest.approx(best.values.tolist(), abs=1e-5)


def test_heads_are_tried_and_mapped_as_plain_hooks_say(workspace: Workspace) -> None:
    setting = a_setting(unit="head", count=1, multiplier=3.0)
    found = try_it(workspace, TryConfig(TEN, setting))
    (head,) = found.entry.neurons[""]  # type: ignore[index]
    heads = workspace.sites.of("head")
    width, kept = heads.channels, []
    inside = range(head * width, (head + 1) * width)

    def scaled(module: Any, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor]:
        changed = args[0].clone()
        kept.append(changed[0, :, list(inside)].norm(dim=-1))
        changed[..., list(inside)] *= 3.0
        return (changed,)

    projection = workspace.lm.model.transformer.h[4].attn.c_proj
    handle = projection.register_forward_pre_hook(scaled)
    try:
        after = logits(workspace, TEN.prompt).softmax(-1)
    finally:
        handle.remove()
    (target,) = workspace.lm.tok_encode(" ten")
    assert found.amplified.prob == pytest.approx(float(after[target]), abs=1e-5)
    assert abs(found.amplified.prob - found.before.prob) > 1e-4
    (report,) = found.neurons
    assert (report.neuron, report.promotes) == (head, ())
    assert report.last == pytest.approx(float(kept[0][-1]), abs=1e-5)
    assert report.mean == pytest.approx(float(kept[0].mean()), abs=1e-5)
    rows = list(map_layers(workspace, MapConfig(TEN, setting, (1.5, 3.0))))
    assert [row.cells[0].layer for row in rows] == list(heads.layers)
    cell = next(cell for cell in rows[4].cells if cell.multiplier == 3.0)
    assert cell.prob == pytest.approx(found.amplified.prob, abs=1e-5)


def test_continuations_are_greedy(workspace: Workspace, tried: TryResult) -> None:
    neurons = tried.entry.neurons[""]  # type: ignore[index]
    for side, hook in ((tried.before, None), (tried.amplified, times(neurons, 2.4))):
        tokens = list(workspace.lm.tok_encode(TEN.prompt))
        start = len(tokens)
        while len(tokens) < start + 20:
            text = workspace.lm.tok_decode(tokens)
            tokens.append(int(logits(workspace, text, hook).argmax()))
            if tokens[-1] == workspace.lm.tokenizer.eos_token_id:
                tokens.pop()
                break
        assert side.continuation == workspace.lm.tok_decode(tokens[start:])


def test_signals_zone_and_verdict(tried: TryResult) -> None:
    prob = tried.before.prob
    assert tried.signals["target_prob"] == pytest.approx(prob)
    assert tried.signals["max_prob"] == pytest.approx(tried.before.top[0][1], abs=1e-5)
    assert "margin" not in tried.signals
    assert prob < 0.07
    assert (tried.decision.zone, tried.decision.amplified) == (1, True)


def test_a_closed_gate_leaves_the_answer(workspace: Workspace, tried: TryResult) -> None:
    closed = try_it(workspace, TryConfig(TEN, a_setting(gate=Gate(low=0.001, high=0.01))))
    assert (closed.decision.zone, closed.decision.amplified) == (3, False)
    assert closed.after is closed.before
    assert closed.before == tried.before
    assert closed.amplified == tried.amplified  # still told what it would have done


@pytest.mark.parametrize("changes", [{"multiplier": 1.0}, {"gate": Gate(mode="never")}])
def test_what_changes_nothing(workspace: Workspace, changes: dict[str, Any]) -> None:
    found = try_it(workspace, TryConfig(TEN, a_setting(**changes)))
    assert found.after == found.before
    if "multiplier" in changes:
        assert found.amplified == found.before


def test_choices_have_a_margin_and_one_decision(workspace: Workspace) -> None:
    asked = TryConfig(SENTIMENT, a_setting(gate=Gate("margin", 0.3, 0.6)))
    found = try_it(workspace, asked)
    plain = logits(workspace, SENTIMENT.prompt).log_softmax(-1)
    singles = [plain[workspace.lm.tok_encode(choice)[0]].item() for choice in SENTIMENT.choices]
    assert found.before.log_likelihoods == pytest.approx(singles, abs=1e-5)
    first, second = sorted(map(math.exp, singles), reverse=True)
    assert found.signals["margin"] == pytest.approx((first - second) / (first + second), abs=1e-5)
    assert found.decision.confidence == found.signals["margin"]


def test_neurons_are_described_by_weights_and_activations(
    workspace: Workspace, tried: TryResult
) -> None:
    seen: list[torch.Tensor] = []

    def keep(module: Any, args: tuple[torch.Tensor, ...]) -> None:
        seen.append(args[0][0])

    logits(workspace, TEN.prompt, keep)
    model = workspace.lm.model
    for report in tried.neurons[:5]:
        assert report.last == pytest.approx(float(seen[0][-1, report.neuron]), abs=1e-5)
        assert report.mean == pytest.approx(float(seen[0][:, report.neuron].mean()), abs=1e-5)
        column = model.transformer.h[4].mlp.c_proj.weight[report.neuron]
        best = (model.lm_head.weight @ column).topk(5).indices.tolist()
        assert report.promotes == tuple(workspace.lm.tok_decode([token]) for token in best)


def test_own_prompts_and_reference(workspace: Workspace) -> None:
    from sna_eval.neurons import differential, mean_activations

    setting = a_setting(source=SST2, count=4)
    found = try_it(workspace, TryConfig(TEN, setting))
    means = [
        mean_activations(
            workspace.lm.model, workspace.sites, workspace.lm.bench.rows(texts), layers=[4]
        )[4]
        for texts in (SST2.prompts, SST2.reference)
    ]
    expected = differential(means[0], means[1], top_k=4)
    assert found.entry.neurons == {"": expected.neurons}
    assert found.entry.found.prompts == "own"  # type: ignore[index]
    assert found.entry.found.reference == "own"  # type: ignore[index]


def test_several_tokens_are_all_counted(workspace: Workspace) -> None:
    question = replace(TEN, target=" ten apples")
    found = try_it(workspace, TryConfig(question, a_setting()))
    assert "".join(found.target_tokens) == " ten apples"
    total, text = 0.0, TEN.prompt
    for token in found.target_tokens:
        (number,) = workspace.lm.tok_encode(token)
        total += float(logits(workspace, text).log_softmax(-1)[number])
        text += token
    assert found.before.log_likelihoods[0] == pytest.approx(total, abs=1e-4)


def test_an_overflow_keeps_the_baseline(workspace: Workspace) -> None:
    found = try_it(workspace, TryConfig(TEN, a_setting(multiplier=1e38, gate=always())))
    assert found.overflowed
    assert found.after is found.before


@pytest.mark.parametrize("positions", ["last", "continuation"])
def test_positions_narrow_the_effect(
    workspace: Workspace, tried: TryResult, positions: Any
) -> None:
    found = try_it(workspace, TryConfig(TEN, a_setting(positions=positions)))
    assert found.entry.positions == positions
    assert found.amplified.prob != tried.amplified.prob
    assert found.amplified.prob != tried.before.prob


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer": 99}, "layer: expected a layer from 0 to 7"),
        ({"layer": -1}, "layer: expected a layer from 0 to 7"),
        ({"direction": "gold"}, "directions: expected among both"),
        ({"method": "contrastive"}, "select.method: expected a task with exactly two labels"),
        (
            {"method": "attribution", "source": SST2},
            "selection: expected a task, for `attribution`, got 'own prompts'",
        ),
        (
            {"gate": Gate("margin", 0.3, 0.6)},
            "tasks.own_prompts.gate.signal: expected a signal for tasks with one continuation",
        ),
    ],
)
def test_settings_that_do_not_fit(
    workspace: Workspace, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        try_it(workspace, TryConfig(TEN, a_setting(**changes)))


def test_a_model_whose_passes_cannot_be_resumed(tried: TryResult) -> None:
    plain = Workspace("sna-reference", load_lm({"strict": True}, gate="never"))
    assert not plain.lm.engine.abilities.resumes
    found = try_it(plain, tried.asked)
    for side, expected in ((found.before, tried.before), (found.amplified, tried.amplified)):
        assert side.prob == pytest.approx(expected.prob, abs=1e-5)
        assert side.continuation == expected.continuation


@pytest.mark.parametrize("name", ["llama", "gpt_neox", "gemma2", "opt"])
def test_other_architectures(name: str, word_tokenizer: Any, tmp_path: Path) -> None:
    model = build_model(name, vocab_size=VOCABULARY, max_position_embeddings=256)
    model.save_pretrained(tmp_path)
    word_tokenizer.save_pretrained(tmp_path)
    other = Shelf().get(str(tmp_path))
    setting = a_setting(layer=2, count=5, gate=always(), source=SST2)
    found = try_it(other, TryConfig(TEN, setting))
    (row,) = [
        cells
        for cells in map_layers(other, MapConfig(TEN, setting, (2.4,)))
        if cells.cells[0].layer == 2
    ]
    assert found.after.prob != found.before.prob
    assert row.baseline == pytest.approx(found.before.prob, abs=1e-5)
    assert row.cells[0].prob == pytest.approx(found.after.prob, abs=1e-5)
    assert all(len(report.promotes) == 5 for report in found.neurons)
    assert len(found.neurons) == 5
