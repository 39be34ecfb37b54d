"""Scores of real weights against independent ways to the same numbers, SmolLM2 in bfloat16 too.

The other side is one plain pass for each text through transformers alone: on folded weights, on
PEFT's adapters, with hooks of the test's own, or through TransformerLens. In float32 both agree to
`TOLERANCE`. In bfloat16, where two right ways differ by whole percents, `sna` may lie no further
from the float32 scores than the plain way does, but for what chance makes of a test's few values.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from lm_eval.api.instance import Instance
from scipy.stats import f

from sna_eval.files import neutral_text_path
from sna_eval.harness.lm import SNALM
from sna_eval.harness.values import evidence_of
from tests.real.conftest import Load

LAYER, MULTIPLIER = 9, 3.0
NEURONS = tuple(range(0, 400, 23))
PLAN = {"layer": LAYER, "neurons": ";".join(map(str, NEURONS)), "multiplier": MULTIPLIER}
TOLERANCE = 1e-4
Documents = Sequence[tuple[str, Sequence[str]]]
Model = Any
Way = Callable[[Model], AbstractContextManager[Callable[..., Any]]]
"""Makes a model an amplified one: yields what gives logits."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A model in one precision, and the same weights in float32."""

    lm: SNALM
    """With every gate open."""
    exact: Model

    @property
    def model(self) -> Model:
        return self.lm.model

    def answers(self, documents: Documents) -> tuple[torch.Tensor, torch.Tensor]:
        """`sna`'s baseline and amplified log-likelihoods, `[request]` each."""
        given = [value for value, _ in self.lm.loglikelihood(_instances(documents), True)]
        found = [evidence_of(value) for value in given]
        baseline = [one.baseline for one in found if one is not None]
        return torch.tensor(baseline), torch.tensor([float(value) for value in given])

    def choices(self, context: int, documents: int, *, before: str = "") -> Documents:
        """Contexts of so many words, a third in half precision, which many processors compute ten
        times slower; each with choices of three words and of one."""
        if self.model is not self.exact:
            context //= 3
        return _choices(context, documents, before=before)

    def check(self, ours: torch.Tensor, documents: Documents, way: Way) -> None:
        """`ours` is what a plain way gives."""
        encoded = [self.lm._encode_pair(*instance.args) for instance in _instances(documents)]
        with way(self.model) as run:
            theirs = _plain(run, encoded)
        if self.model is self.exact:
            torch.testing.assert_close(ours, theirs, atol=TOLERANCE, rtol=0)
            return
        with way(self.exact) as run:
            exact = _plain(run, encoded)
        assert _rms(ours - exact) <= _slack(len(exact)) * _rms(theirs - exact)


IN_SOFTWARE = [pytest.mark.slow] if torch.backends.cpu.get_cpu_capability() == "AVX2" else []
"""Half precision, where a processor has no instructions for it: ten times slower."""


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("smollm2", torch.float32), id="smollm2-fp32"),
        pytest.param(("smollm2", torch.bfloat16), id="smollm2-bf16", marks=IN_SOFTWARE),
        pytest.param(("gemma3", torch.float32), id="gemma3-fp32"),
    ],
)
def subject(request: pytest.FixtureRequest, load: Load) -> Subject:
    name, dtype = request.param
    lm = load(request.getfixturevalue(name), **PLAN, gate="always")
    exact = lm.model
    if dtype is not torch.float32:
        lm = SNALM(
            copy.deepcopy(exact).to(dtype),
            tokenizer=lm.tokenizer, batch_size=8, **PLAN, gate="always",
        )  # fmt: skip
    return Subject(lm, exact)


def _words(start: int, count: int) -> list[str]:
    words = neutral_text_path().read_text(encoding="utf-8").split() * 2
    return words[start : start + count]


def _text(start: int, count: int) -> str:
    return " ".join(_words(start, count))


def _choices(context: int, documents: int, *, before: str = "") -> Documents:
    """Contexts of so many words, each with choices of three words and of one."""
    return [
        (before + _text(61 * n, context),
         [" " + _text(61 * n + context, 3), " " + _text(7 * n + 900, 3), " yes"])
        for n in range(documents)
    ]  # fmt: skip


def _slack(values: int) -> float:
    """By how much the one's distance may exceed the other's where both round alike: the ratio of
    two such mean squares is larger one time in a thousand; half as much again of many values, as
    those of a text round together."""
    return max(1.5, float(f.ppf(0.999, values, values)) ** 0.5)


def _instances(documents: Documents) -> list[Instance]:
    return [
        Instance("loglikelihood", {}, (context, choice), place, metadata=("case", number, 1))
        for number, (context, choices) in enumerate(documents)
        for place, choice in enumerate(choices)
    ]


@torch.no_grad()
def _plain(run: Callable[..., Any], encoded: Sequence[tuple[list[int], list[int]]]) -> torch.Tensor:
    """Log-likelihood of every continuation, `[request]`; one pass for each text."""
    found = []
    known: dict[tuple[int, ...], torch.Tensor] = {}
    for context, continuation in encoded:
        read = tuple((context + continuation)[:-1])
        if read not in known:
            known[read] = run(torch.tensor([read]))[0]
        log_probs = torch.log_softmax(known[read][-len(continuation) :], dim=-1)
        found.append(float(log_probs[range(len(continuation)), continuation].sum()))
    return torch.tensor(found)


def _rms(values: torch.Tensor) -> float:
    return float(values.square().mean().sqrt())


def _projection(model: Model) -> Any:
    return model.model.layers[LAYER].mlp.down_proj


def _logits(model: Model) -> Callable[..., Any]:
    def run(ids: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = model(ids, use_cache=False, logits_to_keep=8).logits
        return logits

    return run


@contextmanager
def unchanged(model: Model) -> Iterator[Callable[..., Any]]:
    yield _logits(model)


@contextmanager
def hooked(model: Model) -> Iterator[Callable[..., Any]]:
    """Neurons scaled by a hook of the test's own."""

    def scale(module: Any, args: Any) -> Any:
        scaled = args[0].clone()
        scaled[..., list(NEURONS)] *= MULTIPLIER
        return (scaled,)

    handle = _projection(model).register_forward_pre_hook(scale)
    try:
        yield _logits(model)
    finally:
        handle.remove()


@contextmanager
def folded(model: Model) -> Iterator[Callable[..., Any]]:
    weight = _projection(model).weight.data
    before = weight.clone()
    weight[:, list(NEURONS)] *= MULTIPLIER
    try:
        yield _logits(model)
    finally:
        weight.copy_(before)


@contextmanager
def with_ia3(model: Model) -> Iterator[Callable[..., Any]]:
    from peft import IA3Config, get_peft_model

    target = f"model.layers.{LAYER}.mlp.down_proj"
    adapted = get_peft_model(
        model, IA3Config(target_modules=[target], feedforward_modules=[target])
    )
    (vector,) = [value for name, value in adapted.named_parameters() if "ia3_l" in name]
    vector.data.view(-1)[list(NEURONS)] = MULTIPLIER
    try:
        yield _logits(adapted)
    finally:
        adapted.unload()


@contextmanager
def with_lora(model: Model) -> Iterator[Callable[..., Any]]:
    """`(m - 1) * W[:, S]` beside `W`: one rank for each neuron."""
    from peft import LoraConfig, get_peft_model

    weight, rank = _projection(model).weight.data, len(NEURONS)
    target = f"model.layers.{LAYER}.mlp.down_proj"
    adapted = get_peft_model(model, LoraConfig(r=rank, lora_alpha=rank, target_modules=[target]))
    layer = _projection(model)
    layer.lora_A["default"].weight.data.zero_()
    layer.lora_A["default"].weight.data[range(rank), list(NEURONS)] = 1.0
    layer.lora_B["default"].weight.data.copy_((MULTIPLIER - 1) * weight[:, list(NEURONS)])
    try:
        yield _logits(adapted)
    finally:
        adapted.unload()


@pytest.mark.parametrize("way", [hooked, folded, with_ia3, with_lora])
def test_amplified_scores_are_those_of_other_ways(subject: Subject, way: Way) -> None:
    documents = subject.choices(30, 4)
    baseline, ours = subject.answers(documents)
    assert (ours - baseline).abs().max() > 100 * TOLERANCE
    subject.check(ours, documents, way)
    assert "base_layer" not in dict(_projection(subject.model).named_children())


def test_amplified_scores_are_those_of_a_transformer_lens_hook(subject: Subject) -> None:
    from transformer_lens.model_bridge import TransformerBridge

    @contextmanager
    def in_a_bridge(model: Model) -> Iterator[Callable[..., Any]]:
        bridge = TransformerBridge.boot_transformers(
            "here", hf_model=copy.deepcopy(model), tokenizer=subject.lm.tokenizer, device="cpu",
            dtype=model.dtype,
        )  # fmt: skip

        def scale(activation: torch.Tensor, hook: Any) -> torch.Tensor:
            activation[..., list(NEURONS)] *= MULTIPLIER
            return activation

        hooks = [(f"blocks.{LAYER}.mlp.out.hook_in", scale)]
        yield lambda ids: bridge.run_with_hooks(ids, fwd_hooks=hooks)

    documents = subject.choices(30, 3)
    subject.check(subject.answers(documents)[1], documents, in_a_bridge)


HEADS = (1, 3)
HEAD_PLAN = {**PLAN, "neurons": ";".join(map(str, HEADS)), "unit": "head"}
D_HEAD = {"llama": 64, "gemma3_text": 256}


def test_amplified_heads_are_those_of_folded_weights(subject: Subject) -> None:
    """SmolLM2's nine query heads share three pairs of keys and values, Gemma's four one."""

    @contextmanager
    def folded(model: Model) -> Iterator[Callable[..., Any]]:
        changed = copy.deepcopy(model)
        weight = changed.model.layers[LAYER].self_attn.o_proj.weight.data
        width = D_HEAD[model.config.model_type]
        for head in HEADS:
            weight[:, head * width : (head + 1) * width] *= MULTIPLIER
        yield lambda ids: changed(ids).logits

    documents = subject.choices(30, 4)
    lm = SNALM(
        subject.model, tokenizer=subject.lm.tokenizer, batch_size=8, **HEAD_PLAN, gate="always"
    )
    on_heads = Subject(lm, subject.exact)
    baseline, ours = on_heads.answers(documents)
    assert float((ours - baseline).abs().max()) > 0.1
    on_heads.check(ours, documents, folded)


def test_amplified_heads_are_those_of_a_transformer_lens_hook(subject: Subject) -> None:
    from transformer_lens.model_bridge import TransformerBridge

    @contextmanager
    def in_a_bridge(model: Model) -> Iterator[Callable[..., Any]]:
        bridge = TransformerBridge.boot_transformers(
            "here", hf_model=copy.deepcopy(model), tokenizer=subject.lm.tokenizer, device="cpu",
            dtype=model.dtype,
        )  # fmt: skip

        def scale(z: torch.Tensor, hook: Any) -> torch.Tensor:
            by_head = z.reshape(*z.shape[:2], -1, D_HEAD[model.config.model_type]).clone()
            by_head[..., list(HEADS), :] *= MULTIPLIER
            return by_head.reshape(z.shape)

        hooks = [(f"blocks.{LAYER}.attn.hook_z", scale)]
        yield lambda ids: bridge.run_with_hooks(ids, fwd_hooks=hooks)

    documents = subject.choices(30, 4)
    lm = SNALM(
        subject.model, tokenizer=subject.lm.tokenizer, batch_size=8, **HEAD_PLAN, gate="always"
    )
    on_heads = Subject(lm, subject.exact)
    on_heads.check(on_heads.answers(documents)[1], documents, in_a_bridge)


def test_several_choices_in_a_row(subject: Subject) -> None:
    """Each sees its context and itself, from the place where the context ends."""
    documents = subject.choices(40, 4)
    before = subject.lm.ledger.baseline_rows, subject.lm.ledger.resumed_rows[LAYER]
    baseline, ours = subject.answers(documents)
    after = subject.lm.ledger.baseline_rows, subject.lm.ledger.resumed_rows[LAYER]
    packs = subject.lm.engine.abilities.packs  # found by trying, which half precision may hide
    assert packs or subject.model is not subject.exact
    rows = 4 if packs else 8
    assert [new - old for old, new in zip(before, after, strict=True)] == [rows, rows]
    subject.check(baseline, documents, unchanged)
    subject.check(ours, documents, hooked)


def test_a_beginning_that_rows_share(subject: Subject) -> None:
    words = 60 if subject.model is subject.exact else 20
    documents = subject.choices(15, 4, before=_text(1000, words) + " ")
    before = subject.lm.ledger.shared_tokens
    baseline, ours = subject.answers(documents)
    assert subject.lm.ledger.shared_tokens - before > 3 * words
    subject.check(baseline, documents, unchanged)
    subject.check(ours, documents, hooked)


def test_rows_that_are_resumed_among_others_that_are_not(real: Path, load: Load) -> None:
    """Half of the gates open; the closed ones keep their baseline to the bit."""
    documents = _choices(20, 8)
    opened = Subject(load(real, **PLAN, gate="always"), load(real).model)
    confidence = [
        evidence_of(value).confidence  # type: ignore[union-attr]
        for value, _ in load(real, **PLAN, gate="margin", low=0.3, high=0.6).loglikelihood(
            _instances(documents), True
        )
    ]
    low = sorted(confidence)[len(confidence) // 2]
    gated = Subject(load(real, **PLAN, gate="margin", low=low, high=1.0), opened.exact)
    baseline, ours = gated.answers(documents)
    _, all_open = opened.answers(documents)
    stays = torch.tensor([value >= low for value in confidence])
    assert 0 < int(stays.sum()) < len(stays)
    assert torch.equal(ours[stays], baseline[stays])
    torch.testing.assert_close(ours[~stays], all_open[~stays], atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("length", [20, 500], ids=["shorter", "longer"])
def test_texts_beside_a_sliding_window(subject: Subject, length: int) -> None:
    """Gemma 3's windows hold 512 tokens; greedy texts are those of hooks around `generate`."""
    window = getattr(subject.model.config, "sliding_window", None)
    context = _text(200, length if window else length // 4)
    ids = torch.tensor([subject.lm.tok_encode(context, add_special_tokens=True)])
    assert window is None or (ids.shape[1] > window) == (length == 500)
    asked = Instance("generate_until", {}, (context, {"until": ["\x00"], "max_gen_toks": 6}), 0,
                     metadata=("case", 0, 1))  # fmt: skip
    closed = SNALM(subject.model, tokenizer=subject.lm.tokenizer, **PLAN, gate="never")
    for lm, way in ((subject.lm, hooked), (closed, unchanged)):
        with way(subject.model):
            made = subject.model.generate(
                ids, max_new_tokens=6, do_sample=False, output_logits=True,
                return_dict_in_generate=True,
            )  # fmt: skip
        (text,) = lm.generate_until([asked], disable_tqdm=True)
        _check_text(text, made.sequences[0, ids.shape[1] :].tolist(), made.logits, subject)


def _check_text(
    text: str, tokens: Sequence[int], logits: Sequence[torch.Tensor], subject: Subject
) -> None:
    """A text is what greedy tokens say; in half precision up to where rounding alone chose one."""

    def said(several: Sequence[int]) -> str:
        return str(subject.lm.tokenizer.decode(several, skip_special_tokens=True))

    for place, (token, scores) in enumerate(zip(tokens, logits, strict=True)):
        before = list(tokens[:place])
        if text.startswith(said([*before, token])):
            continue
        slack = 0.0 if subject.model is subject.exact else 2 * _step(float(scores.max()))
        tied = torch.nonzero(scores[0] >= scores.max() - slack).flatten().tolist()
        assert any(text.startswith(said([*before, other])) for other in tied), text
        return
    assert text == said(tokens)


def _step(logit: float) -> float:
    """Between neighbouring numbers of bfloat16."""
    return float(2.0 ** (math.floor(math.log2(abs(logit))) - 7))


def test_two_thousand_tokens(subject: Subject) -> None:
    """Windows, rotary angles and sums of long texts; 400 tokens in half precision."""
    exact = subject.model is subject.exact
    ids = subject.lm.tok_encode(_text(0, 1500))[: 1990 if exact else 400]
    context = subject.lm.tokenizer.decode(ids, skip_special_tokens=True)
    documents = [(context, [" yes", " no", " and"])]
    baseline, ours = subject.answers(documents)
    if exact:
        subject.check(baseline, documents, unchanged)
        subject.check(ours, documents, hooked)
    else:  # three values have no spread to speak of
        assert (ours - baseline).isfinite().all()


def test_a_chat_template(smollm2: Path, load: Load) -> None:
    """Special tokens stand in the text, and none is put before it."""
    lm = load(smollm2, **PLAN, gate="always")
    said = lm.apply_chat_template([{"role": "user", "content": "Name a colour."}])
    documents = [(said, ["Blue", "A house of wood"])]
    (encoded, _), _ = (lm._encode_pair(*instance.args) for instance in _instances(documents))
    assert lm.tokenizer.decode(encoded) == said.rstrip()  # lm_eval puts the rest before the choice
    subject = Subject(lm, lm.model)
    baseline, ours = subject.answers(documents)
    subject.check(baseline, documents, unchanged)
    subject.check(ours, documents, hooked)
