"""Requests that go wrong elsewhere: scored as lm_eval's `hf` scores them, or refused in a line."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

from sna_eval.errors import InputError
from sna_eval.harness.values import evidence_of

PLAN = {"layer": 2, "neurons": "1;5;7", "multiplier": 3.0, "gate": "always"}
TOLERANCE = 1e-5


def requests(*pairs: tuple[str, str]) -> list[Any]:
    from lm_eval.api.instance import Instance

    return [
        Instance("loglikelihood", {}, pair, number, metadata=("own", number, 1))
        for number, pair in enumerate(pairs)
    ]


def baselines(lm: Any, samples: list[Any]) -> list[float]:
    found = [evidence_of(value) for value, _ in lm.loglikelihood(samples, disable_tqdm=True)]
    return [evidence.baseline for evidence in found if evidence is not None]


def plain(lm: Any, samples: list[Any]) -> list[float]:
    return [float(value) for value, _ in lm.loglikelihood(samples, disable_tqdm=True)]


LONG = " ".join(["the cat sat on a mat while rain fell over town"] * 60)


@pytest.mark.parametrize(
    "pairs",
    [
        [(LONG, " and so on")],
        [(LONG, " again"), (LONG[:-9], " and so on")],
        [("", "The cat sat"), ("", " rain")],
        [("the cat", " sat"), ("the cat", " sat"), ("the cat", " sat")],
        [("rain", " fell over the town and the cat" * 3)],
    ],
    ids=["longer than the model", "long and shared", "empty context", "duplicates", "long target"],
)
def test_baselines_are_those_of_hf(make_sna: Any, make_hf: Any, pairs: Any) -> None:
    asked = requests(*pairs)
    got = baselines(make_sna(**PLAN), asked)
    # a long target's sum lies in the hundreds, where float32's own steps are wider than 1e-5
    assert got == pytest.approx(plain(make_hf(), asked), abs=TOLERANCE, rel=2e-7)
    assert len(got) == len(pairs)


def test_duplicates_are_scored_alike_and_each(make_sna: Any) -> None:
    lm = make_sna(**PLAN)
    values = [value for value, _ in lm.loglikelihood(requests(*[("the cat", " sat")] * 3), True)]
    assert len(set(map(float, values))) == 1
    assert lm.describe()["tasks"] == {} or lm.ledger.tasks["own"].items == 3


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("pair", [("the cat", ""), ("", "")])
def test_empty_targets_are_refused(make_sna: Any, pair: tuple[str, str], strict: bool) -> None:
    asked = requests(("the cat", " sat"), pair)
    with pytest.raises(InputError, match=r"own: expected a target of at least one token.*''"):
        make_sna(**PLAN, strict=strict).loglikelihood(asked, disable_tqdm=True)


@pytest.mark.parametrize("strict", [False, True])
def test_targets_longer_than_the_model_are_refused(make_sna: Any, strict: bool) -> None:
    """They have no score: their first tokens would be read as context, or not at all."""
    asked = requests(("the cat", " sat"), ("the cat", f" {LONG}"))
    with pytest.raises(
        InputError, match=r"own: expected targets of at most 256 tokens.*document 1"
    ):
        make_sna(**PLAN, strict=strict).loglikelihood(asked, disable_tqdm=True)


@pytest.fixture
def joining(make_sna: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A model whose tokenizer knows "the cat sat" and "the cat" by one and the same token."""

    def make(**arguments: Any) -> Any:
        lm = make_sna(**PLAN, **arguments)
        plain_encode, one = lm.tok_encode, lm.tok_encode(" town")

        def encode(text: str, *given: Any, **named: Any) -> list[int]:
            if text.startswith("the cat"):
                rest = text.removeprefix("the cat").removeprefix(" sat")
                return one + (plain_encode(rest, **named) if rest else [])
            return plain_encode(text, *given, **named)

        monkeypatch.setattr(lm, "tok_encode", encode)
        return lm

    return make


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("context", ["the cat", "the cat "])
def test_targets_that_become_part_of_the_context_are_tokenized_apart(
    joining: Any, make_hf: Any, caplog: pytest.LogCaptureFixture, context: str, strict: bool
) -> None:
    lm, hf = joining(strict=strict), make_hf()
    target = " sat" if context == "the cat" else "sat"
    asked = requests((context, target), ("the cat", " a mat"), (context, target), ("rain", " fell"))
    got = baselines(lm, asked)
    texts = [(" town", " sat"), (" town", " a mat"), (" town", " sat"), ("rain", " fell")]
    assert got == pytest.approx(plain(hf, requests(*texts)), abs=TOLERANCE)
    assert (lm.ledger.tasks["own"].items, lm.ledger.tasks["own"].tokenized_apart) == (4, 2)
    assert lm.ledger.tasks["own"].as_dict()["tokenized_apart"] == 2
    (said,) = [record.message for record in caplog.records if "tokenized apart" in record.message]
    assert f"joins the target {target!r} to the last token of its context, {context!r}" in said


def test_a_search_sees_what_an_evaluation_scores(joining: Any) -> None:
    """What else than an evaluation asks for tokens gets the same ones."""
    from sna_eval.harness.plugin.stand_in import encoded

    lm = joining()
    ((_, context, target),) = encoded(lm, requests(("the cat", " sat")))
    assert (context, target) == (lm.tok_encode(" town"), lm.tok_encode(" sat"))


@pytest.mark.parametrize("lacking", ["pad", "bos", "both"])
def test_tokenizers_without_special_tokens(
    tiny_gpt2: Any, word_tokenizer: Any, lacking: str
) -> None:
    from lm_eval.models.huggingface import HFLM

    from sna_eval.harness.lm import SNALM

    tokenizer = copy.deepcopy(word_tokenizer)
    for name in ("pad", "bos") if lacking == "both" else (lacking,):
        setattr(tokenizer, f"{name}_token", None)
    asked = requests(("", "The cat sat"), ("the cat", " sat on a mat"), ("a", " mat"))
    expected = plain(HFLM(tiny_gpt2, tokenizer=copy.deepcopy(tokenizer), batch_size=2), asked)
    lm = SNALM(tiny_gpt2, tokenizer=tokenizer, batch_size=2, **PLAN)
    assert baselines(lm, asked) == pytest.approx(expected, abs=TOLERANCE)


def test_memory_that_runs_out_at_batch_size_auto(
    make_sna: Any, tiny_gpt2: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that holds four rows: a batch size below that is found, scores are the same."""
    asked = requests(*[(f"the cat sat {'on a mat ' * n}", " and so on") for n in range(12)])
    expected = [float(value) for value, _ in make_sna(**PLAN).loglikelihood(asked, True)]
    sizes: list[int] = []

    def small_device(module: Any, args: Any, kwargs: Any) -> None:
        ids = args[0] if args else kwargs["input_ids"]
        if ids.shape[0] > 4:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        sizes.append(ids.shape[0])

    handle = tiny_gpt2.register_forward_pre_hook(small_device, with_kwargs=True)
    try:
        lm = make_sna(**PLAN, batch_size="auto", max_batch_size=64)
        got = [float(value) for value, _ in lm.loglikelihood(asked, True)]
    finally:
        handle.remove()
    assert got == pytest.approx(expected, abs=TOLERANCE)
    assert max(sizes) == 4
