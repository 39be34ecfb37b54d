"""Random plans on random documents: both answers are those of plain passes with plain hooks.

The reference reads every choice by a pass of its own, unpadded and from the first block on, with
hooks written here; it shares the paths of the output projections with the package and nothing else.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sna_eval.harness.values import Evidence, evidence_of
from sna_eval.intervention import Sites, find_sites
from tests.conftest import VOCABULARY, build_model

NAMES = ("gpt2", "mistral", "gemma2", "opt", "bloom", "gpt_neox")
"""Among them alibi, which does not pack, sliding windows of 8, and a parallel residual."""
WORDS = ("the", "cat", "sat", "on", "a", "mat", "while", "rain", "fell", "over", "town", "yes")
WINDOW = 40
TIE = 2e-5
BOUNDED = settings(deadline=None, derandomize=True, database=None)

Entry = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """What is evaluated."""

    name: str
    batch_size: int | str
    documents: list[tuple[str, list[str]]]
    """Context and choices of each; an empty context is one token to lm_eval."""
    gate: dict[str, Any]
    entries: list[Entry]


def words(least: int, most: int) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(WORDS), min_size=least, max_size=most).map(" ".join)


def entries() -> st.SearchStrategy[Entry]:
    layer, positions = st.integers(0, 3), st.sampled_from(("all", "last", "continuation"))
    neurons = st.lists(st.integers(0, 63), unique=True, min_size=1, max_size=8)
    scaled = st.fixed_dictionaries({
        "layer": layer, "positions": positions, "neurons": neurons,
        "multiplier": st.sampled_from((0.0, 0.5, 2.0, 4.0, -1.0)),
    })  # fmt: skip
    vector = st.lists(st.integers(-8, 8).map(lambda n: n / 4), min_size=32, max_size=32)
    added = st.fixed_dictionaries({
        "layer": layer, "positions": positions, "method": st.just("caa"),
        "strength": st.sampled_from((0.5, 1.0)),
        "parameters": st.fixed_dictionaries({"vector": vector}),
    })  # fmt: skip
    cooled = st.fixed_dictionaries({
        "layer": layer, "method": st.just("temperature"),
        "parameters": st.fixed_dictionaries({"temperature": st.sampled_from(([0.7], [1.8]))}),
    })  # fmt: skip
    return st.one_of(scaled, scaled, scaled, added, cooled)


def gates() -> st.SearchStrategy[dict[str, Any]]:
    bounds = {"margin": (0.5, 0.999), "max_prob": (0.1, 0.4), "entropy": (0.1, 0.3)}
    followed = st.builds(
        lambda signal, transition: {
            "signal": signal, "low": bounds[signal][0], "high": bounds[signal][1],
            "transition": transition,
        },
        st.sampled_from(sorted(bounds)), st.sampled_from(("leave", "amplify")),
    )  # fmt: skip
    return st.one_of(followed, followed, st.just({"mode": "always"}))


def runs() -> st.SearchStrategy[Run]:
    choices = st.lists(words(1, 9), min_size=2, max_size=5, unique=True)
    context = st.one_of(st.just(""), words(1, 6), words(20, 60))
    return st.builds(
        Run,
        name=st.sampled_from(NAMES),
        batch_size=st.sampled_from((1, 3, 8, "auto")),
        documents=st.lists(st.tuples(context, choices), min_size=1, max_size=4),
        gate=gates(),
        entries=st.lists(entries(), min_size=1, max_size=3, unique_by=str),
    )


@functools.cache
def model_of(name: str) -> Any:
    return build_model(name, vocab_size=VOCABULARY)


def acting(entry: Entry, width: int, last: int) -> torch.Tensor:
    """Positions that an entry touches, `[position, 1]`."""
    place = torch.arange(width)
    touched = {"all": place >= 0, "last": place == last, "continuation": place >= last}
    return touched[entry["positions"]].unsqueeze(1)


def hooked(sites: Sites, entry: Entry, width: int, last: int) -> Callable[[], None]:
    """Registers what an entry does to one text; returns what takes it away again."""
    where = acting(entry, width, last)

    def scale(module: Any, args: Any) -> Any:
        flat = args[0].reshape(width, -1)
        scaled = flat.clone()
        scaled[:, entry["neurons"]] *= entry["multiplier"]
        return (torch.where(where, scaled, flat).reshape(args[0].shape), *args[1:])

    def add(module: Any, args: Any, output: Any) -> Any:
        hidden = output[0] if isinstance(output, tuple) else output
        vector = entry["strength"] * torch.tensor(entry["parameters"]["vector"])
        changed = torch.where(where, hidden + vector, hidden)
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    layer = entry["layer"]
    if "neurons" in entry:
        return sites.projections[layer].register_forward_pre_hook(scale).remove
    return sites.blocks[layer].register_forward_hook(add).remove


@torch.no_grad()
def log_probs(model: Any, ids: Sequence[int], last: int, entries: Sequence[Entry]) -> torch.Tensor:
    """Every position's next-token distribution, `[position, vocabulary]`."""
    sites = find_sites(model)
    with ExitStack() as stack:
        for entry in entries:
            if entry.get("method") != "temperature":
                stack.callback(hooked(sites, entry, len(ids), last))
        logits = model(torch.tensor([list(ids)]), use_cache=False).logits[0]
    for entry in entries:
        if entry.get("method") == "temperature":
            logits = logits / entry["parameters"]["temperature"][0]
    return torch.log_softmax(logits, -1)


@dataclass(frozen=True)
class Choice:
    """One choice as lm_eval encodes it, its context cut to what the model reads."""

    context: tuple[int, ...]
    tokens: tuple[int, ...]

    def log_likelihood(self, model: Any, entries: Sequence[Entry] = ()) -> float:
        last = len(self.context) - 1
        read = log_probs(model, self.context + self.tokens[:-1], last, entries)[last:]
        return float(read.gather(1, torch.tensor(self.tokens).unsqueeze(1)).double().sum())


def encoded(lm: Any, context: str, choice: str) -> Choice:
    if context:
        before, after = lm._encode_pair(context, f" {choice}")
    else:
        before, after = [lm.prefix_token_id], lm.tok_encode(f" {choice}", add_special_tokens=False)
    return Choice(tuple(before[-(WINDOW + 1 - len(after)) :]), tuple(after))


def confidence(model: Any, signal: str, choices: Sequence[Choice], scores: list[float]) -> float:
    """By the formulas of the paper and of the documentation."""
    if signal == "margin":
        second, first = sorted(scores)[-2:]
        return (1 - math.exp(second - first)) / (1 + math.exp(second - first))
    values = []
    for context in dict.fromkeys(choice.context for choice in choices):
        read = log_probs(model, context, len(context) - 1, ())[-1].double()
        spread = -float((read.exp() * read).sum()) / math.log(len(read))
        values.append(float(read.max().exp()) if signal == "max_prob" else 1 - spread)
    return sum(values) / len(values)


def opens(gate: dict[str, Any], value: float) -> bool:
    if "mode" in gate:
        return True
    return value < gate["low"] or (value <= gate["high"] and gate["transition"] == "amplify")


def close(value: float) -> Any:
    """1e-5; for long sums a few units in the last place of float32, which are more."""
    return pytest.approx(value, abs=1e-5, rel=3e-7)


def check(run: Run, tokenizer: Any, folder: Path) -> list[bool]:
    """Every answer, confidence and decision of a run against the reference; the decisions."""
    from lm_eval.api.instance import Instance

    from sna_eval.harness.lm import SNALM

    plan = {"version": 1, "tasks": {"own": {"gate": run.gate, "interventions": run.entries}}}
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump(plan))
    model = model_of(run.name)
    lm = SNALM(
        model, tokenizer=tokenizer, plan=str(path), batch_size=run.batch_size, max_batch_size=4,
        max_length=WINDOW,
    )  # fmt: skip
    requests = [
        Instance("loglikelihood", {}, (context, f" {choice}"), n, metadata=("own", number, 1))
        for number, (context, choices) in enumerate(run.documents)
        for n, choice in enumerate(choices)
    ]
    answers = iter(lm.loglikelihood(requests, disable_tqdm=True))
    decisions = []
    for context, texts in run.documents:
        choices = [encoded(lm, context, text) for text in texts]
        decisions.append(decision(model, run, choices, [next(answers)[0] for _ in texts]))
    return decisions


def decision(model: Any, run: Run, choices: Sequence[Choice], found: Sequence[Any]) -> bool:
    """Whether a document was amplified, once all that was answered about it is checked."""
    evidence: list[Evidence] = [one for value in found if (one := evidence_of(value)) is not None]
    assert len(evidence) == len(found)
    baseline = [choice.log_likelihood(model) for choice in choices]
    for one, value in zip(evidence, baseline, strict=True):
        assert one.baseline == close(value)
    (amplified,) = {one.amplified for one in evidence}
    if "mode" not in run.gate:
        value = confidence(model, run.gate["signal"], choices, baseline)
        assert evidence[0].confidence == pytest.approx(value, abs=TIE)
        tie = min(abs(value - run.gate[bound]) for bound in ("low", "high")) <= TIE
        assert tie or amplified == opens(run.gate, value)
    for choice, answer in zip(choices, found, strict=True):
        expected = choice.log_likelihood(model, run.entries if amplified else [])
        assert float(answer) == close(expected)
    return amplified


def check_many(count: int, tokenizer: Any, folder: Path) -> list[bool]:
    decisions: list[bool] = []

    @settings(BOUNDED, max_examples=count)
    @given(runs())
    def check_one(run: Run) -> None:
        decisions.extend(check(run, tokenizer, folder))

    check_one()
    return decisions


def test_some_runs(word_tokenizer: Any, tmp_path: Path) -> None:
    decisions = check_many(12, word_tokenizer, tmp_path)
    assert 0 < sum(decisions) < len(decisions)  # both answers were tried


@pytest.mark.slow
def test_many_runs(word_tokenizer: Any, tmp_path: Path) -> None:
    decisions = check_many(500, word_tokenizer, tmp_path)
    assert 100 < sum(decisions) < len(decisions) - 100
