"""The search, by every ranking, against full passes with hooks and gradients of this test's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sna_eval import cache
from sna_eval.errors import InputError
from sna_eval.intervention import find_sites
from sna_eval.neurons import (
    RANKINGS,
    Examples,
    Question,
    Search,
    SearchConfig,
    Sinks,
    Workbench,
    neutral_sentences,
    spread_over,
)
from sna_eval.neurons.observed import reference_means
from sna_eval.neurons.statistics import Progress
from tests.conftest import VOCABULARY, build_model

NAMES = ("gpt2", "opt", "llama", "gpt_neox", "gemma2", "phi")
ITEMS = (
    ("a warm film and", " good"), ("the plot is dull,", " bad"), ("two hours I want", " back then"),
    ("never", " a day"), ("the cast is fine and", " good"), ("it made me laugh", " out loud"),
)  # fmt: skip
EXAMPLES = Examples(
    tuple(context for context, _ in ITEMS),
    (0, 1, 0, 1, -1, 0),
    ("yes", "no"),
    tuple(Question(context, (answer,), 0) for context, answer in ITEMS),
)
COUNT = 6
FEW = ("a day and a night", "the film", "good or bad, I want it back")
"""Neutral text that takes no time."""


def bench_of(name: str, tokenizer: Any, **changes: Any) -> Workbench:
    model = build_model(name, vocab_size=VOCABULARY, max_position_embeddings=256, **changes)
    return Workbench(model, find_sites(model), lambda text: tokenizer.encode(text))


def seen(bench: Workbench, ids: list[int], layer: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and activations of one text alone, `[token, ...]`, from a full pass."""
    kept: list[torch.Tensor] = []
    handle = bench.sites.projections[layer].register_forward_pre_hook(
        lambda module, args: kept.append(args[0])
    )
    with torch.enable_grad():
        logits = bench.model(torch.tensor([ids])).logits[0]
    handle.remove()
    return logits, kept[0]


def mean(bench: Workbench, texts: list[str], layer: int, sinks: Sinks) -> np.ndarray:
    first = 1 if sinks == "drop" else 0
    rows = [list(bench.encode(text)) for text in texts]
    parts = [seen(bench, row, layer)[1].reshape(len(row), -1)[first:] for row in rows]
    values: np.ndarray = torch.cat(parts).detach().double().numpy().mean(axis=0)
    return values


def attribution(bench: Workbench, layer: int, sinks: Sinks) -> np.ndarray:
    first, found = (1 if sinks == "drop" else 0), []
    for context, answer in ITEMS:
        ids, start = list(bench.encode(context + answer)), len(bench.encode(context))
        if len(ids) - 1 <= first:
            continue
        logits, activations = seen(bench, ids[:-1], layer)
        places = range(start, len(ids))
        target = sum(logits.log_softmax(-1)[place - 1, ids[place]] for place in places)
        (gradient,) = torch.autograd.grad(target, [activations])
        product = (activations * gradient).reshape(len(ids) - 1, -1)[first:]
        found.append(product.sum(0).detach().double().numpy())
    values: np.ndarray = np.mean(found, axis=0)
    return values


def expected(
    bench: Workbench, ranking: str, layer: int, sinks: Sinks, neutral: tuple[str, ...] = FEW
) -> dict[str, np.ndarray]:
    """The scores that the labels' neurons are the largest of."""
    texts = list(EXAMPLES.prompts)
    if ranking == "attribution":
        return {"": attribution(bench, layer, sinks)}
    if ranking == "contrastive":
        classes = [[t for t, one in zip(texts, EXAMPLES.labels or (), strict=True) if one == n]
                   for n in (0, 1)]  # fmt: skip
        first, second = (mean(bench, class_, layer, sinks) for class_ in classes)
        return {"yes": first - second, "no": second - first}
    return {"": mean(bench, texts, layer, sinks) - mean(bench, [*neutral], layer, sinks)}


@pytest.mark.parametrize("sinks", ["drop", "keep"])
@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_push_is_of_what_a_neuron_writes_and_how_much_it_varies(
    name: str, sinks: Sinks, word_tokenizer: Any
) -> None:
    """Root mean square times the length of its column; the mean alone leaves both out."""
    bench = bench_of(name, word_tokenizer)
    search = Search(bench, EXAMPLES, SearchConfig(sinks=sinks, reference=FEW), [1])
    rows = [list(bench.encode(text)) for text in EXAMPLES.prompts]
    first = 1 if sinks == "drop" else 0
    parts = [seen(bench, row, 1)[1].reshape(len(row), -1)[first:] for row in rows]
    values = torch.cat(parts).detach().double().numpy()
    weight = bench.sites.projections[1].weight.detach().double().numpy()
    columns = weight if name == "gpt2" else weight.T
    expected_push = np.sqrt((values**2).mean(axis=0)) * np.linalg.norm(columns, axis=1)
    np.testing.assert_allclose(search.observed.push[1].numpy(), expected_push, rtol=1e-5)


@pytest.mark.parametrize("sinks", ["drop", "keep"])
@pytest.mark.parametrize("ranking", ["differential", "contrastive", "attribution"])
@pytest.mark.parametrize("name", NAMES)
def test_finds_what_full_passes_say(
    name: str, ranking: str, sinks: Sinks, word_tokenizer: Any
) -> None:
    bench = bench_of(name, word_tokenizer)
    layers = bench.sites.layers[:2]
    config = SearchConfig(ranking, sinks=sinks, reference=FEW)
    found = Search(bench, EXAMPLES, config, layers).every(COUNT)
    assert tuple(found) == layers
    for layer, ranked in found.items():
        for label, scores in expected(bench, ranking, layer, sinks).items():
            chosen = ranked.selected[label]
            assert chosen.scores == pytest.approx(np.sort(scores)[::-1][:COUNT], abs=2e-5)
            assert scores[list(chosen.neurons)] == pytest.approx(chosen.scores, abs=2e-5)


@pytest.fixture(scope="module")
def bench(word_tokenizer: Any) -> Workbench:
    return bench_of("gpt2", word_tokenizer)


def counted(bench: Workbench) -> list[int]:
    """Grows by the tokens of every pass."""
    passes: list[int] = []
    embedding = bench.model.get_input_embeddings()  # type: ignore[operator]
    embedding.register_forward_hook(lambda module, args, output: passes.append(args[0].numel()))
    return passes


def test_one_pass_for_all_layers_and_counts(word_tokenizer: Any) -> None:
    bench = bench_of("gpt2", word_tokenizer)
    passes = counted(bench)
    search = Search(bench, EXAMPLES, SearchConfig(), bench.sites.layers)
    search.every(3)
    once = len(passes)
    search.every(40)
    Search(bench, EXAMPLES, SearchConfig("random"), [0]).best(0, 5)
    assert len(passes) == once + 1  # the task's prompts again; neutral text is remembered


def test_neutral_text_is_read_once_per_model(word_tokenizer: Any) -> None:
    config = SearchConfig()
    first = Search(bench_of("gpt2", word_tokenizer), EXAMPLES, config, [2]).observed.neutral[2]
    again = bench_of("gpt2", word_tokenizer)
    passes = counted(again)
    search = Search(again, EXAMPLES, config, [0, 2])
    assert torch.equal(search.observed.neutral[2], first)
    assert passes == []
    deeper = Search(again, EXAMPLES, config, [3])
    assert deeper.observed.neutral[3].shape == first.shape
    assert len(passes) > 0
    other = bench_of("gpt2", word_tokenizer)
    with torch.no_grad():
        other.model.transformer.h[0].mlp.c_fc.weight[0, 0] += 1.0  # type: ignore[union-attr]
    assert not torch.equal(Search(other, EXAMPLES, config, [2]).observed.neutral[2], first)


@pytest.mark.parametrize(
    "change",
    [{"pooling": "last"}, {"sinks": "keep"}, {"texts": ("a day",)}, {"dtype": torch.bfloat16}],
)
def test_other_settings_are_other_neutral_statistics(
    word_tokenizer: Any, change: dict[str, Any]
) -> None:
    bench = bench_of("gpt2", word_tokenizer)
    asked: dict[str, Any] = {"texts": FEW, "pooling": "mean", "sinks": "drop"}
    reference_means(bench, asked.pop("texts"), [1], **asked)
    bench.model.to(change.pop("dtype", torch.float32))
    other = {"texts": FEW, **asked, **change}
    fresh = replace(bench, neutral={})
    passes = counted(fresh)
    reference_means(fresh, other.pop("texts"), [1], **other)
    assert passes


def test_a_damaged_entry_is_found_again(
    word_tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {"pooling": "mean", "sinks": "drop"}
    bench = bench_of("gpt2", word_tokenizer)
    first = reference_means(bench, FEW, [1], **asked)[1]
    (path,) = cache.cache_dir().glob("*.json")
    text = path.read_text()
    for kept in ({}, {"layers": 3}, {"layers": {"1": "!"}}, {"layers": {"1": "AAAAAAAAAAA="}}):
        cache.write_entry(path.stem, kept)
        assert torch.equal(reference_means(replace(bench, neutral={}), FEW, [1], **asked)[1], first)
        assert path.read_text() == text
    monkeypatch.setenv("SNA_EVAL_NO_CACHE", "1")
    path.unlink()
    assert torch.equal(reference_means(replace(bench, neutral={}), FEW, [1], **asked)[1], first)
    assert not path.exists()


def test_prompts_are_spread_evenly(bench: Workbench) -> None:
    many = Examples(
        tuple(f"the film {n}" for n in range(10)), (0, 1) * 5, ("yes", "no"),
        tuple(Question(f"the film {n}", (" good",), 0) for n in range(10)),
        unconditional=frozenset({3, 4}),
    )  # fmt: skip
    search = Search(bench, many, SearchConfig(max_prompts=3), [1])
    assert search.examples.prompts == ("the film 1", "the film 5", "the film 8")
    assert search.examples.labels == (1, 1, 0)
    assert [question.context for question in search.examples.questions] == list(
        search.examples.prompts
    )
    assert many.at_most(5).unconditional == {1}  # 1, 3, 5, 7, 9
    record = search.record(4)
    assert (record["n_prompts"], record["max_prompts"], record["sinks"]) == (3, 3, "drop")
    assert spread_over([1, 2], 9) == [1, 2]


def test_one_token_prompts_count_with_position_0_on_both_sides(bench: Workbench) -> None:
    """And the record says so; one such prompt beside longer ones is left out."""
    bench = replace(bench, encode=lambda text: [len(word) for word in text.split()])
    short = Examples(("film", "day"))
    search = Search(bench, short, SearchConfig(), [1])
    assert search.record(2)["sinks"] == "keep"
    whole = mean(bench, ["film", "day"], 1, "keep") - mean(bench, [*neutral_sentences()], 1, "keep")
    assert search.best(1, 3).selected[""].scores == pytest.approx(
        np.sort(whole)[::-1][:3], abs=2e-5
    )
    mixed = Search(bench, Examples(("film", "a warm film")), SearchConfig(), [1])
    alone = Search(bench, Examples(("a warm film",)), SearchConfig(), [1])
    of_both, of_one = (one.best(1, 3).selected[""] for one in (mixed, alone))
    assert of_both.neurons == of_one.neurons
    assert of_both.scores == pytest.approx(of_one.scores, abs=2e-5)
    one_sided = Examples(("film", "a warm film"), (0, 1), ("yes", "no"))
    assert Search(bench, one_sided, SearchConfig("contrastive"), [1]).record(1)["sinks"] == "keep"


def test_the_other_end(bench: Workbench) -> None:
    difference = expected(bench, "differential", 1, "drop", neutral_sentences())[""]
    last = Search(bench, EXAMPLES, SearchConfig(), [1]).last(1, 4).selected[""]
    assert list(last.neurons) == np.argsort(difference)[:4].tolist()
    assert last.scores == pytest.approx(np.sort(difference)[:4], abs=2e-5)


def test_larger_sets_go_on_from_smaller_ones(bench: Workbench) -> None:
    for name in ("differential", "contrastive", "attribution", "gradient"):
        search = Search(bench, EXAMPLES, SearchConfig(name), [2])
        few, many = search.best(2, 3), search.best(2, 9)
        assert many.first(3) == few.selected
        assert search.record(3, many) == search.record(3, few)


def test_random_neurons_stand_in_for_the_differential_ones(bench: Workbench) -> None:
    def drawn(name: str, seed: int = 0) -> tuple[int, ...]:
        search = Search(bench, EXAMPLES, SearchConfig(name, seed=seed), [0])
        return search.best(0, 6).selected[""].neurons

    assert len(drawn("random")) == 6
    assert not set(drawn("random")) & set(drawn("differential"))
    assert drawn("random") == drawn("random")
    assert drawn("random") != drawn("random", seed=1)


def test_what_a_record_says(bench: Workbench) -> None:
    records = {n: Search(bench, EXAMPLES, SearchConfig(n), [1]).record(2) for n in RANKINGS}
    for name, record in records.items():
        assert record["method"] == name
        assert record.keys() >= {
            "top_k",
            "prompts",
            "model_hash",
            "prompt_hash",
            "n_prompts",
            "sinks",
        }
        assert ("answer_hash" in record) == (name in ("attribution", "gradient"))
        assert ("seed" in record) == (name == "random")
        assert ("reference" in record) == (name in ("absolute", "differential", "random"))
        assert ("pooling" in record) == (name not in ("attribution", "gradient"))
    whole = replace(EXAMPLES, whole=True)
    assert Search(bench, whole, SearchConfig(), [1]).record(2)["texts"].startswith("whole")


def test_progress_reckons_with_neutral_text(word_tokenizer: Any) -> None:
    class Kept(Progress):
        expected = done = 0

        def expect(self, prompts: int) -> None:
            self.expected += prompts

        def read(self, prompts: int) -> None:
            self.done += prompts

    first, second = Kept(), Kept()
    for one in (first, second):
        bench = bench_of("gpt2", word_tokenizer)
        Search(bench, EXAMPLES, SearchConfig(), [1], progress=one).best(1, 2)
    assert first.expected == len(neutral_sentences())
    assert first.done == len(EXAMPLES.prompts) + first.expected
    assert (second.expected, second.done) == (0, len(EXAMPLES.prompts))


def test_every_ranking_stands_in_the_plan_files_table() -> None:
    page = (Path(__file__).parents[2] / "docs" / "plan-file.md").read_text(encoding="utf-8")
    assert [name for name in RANKINGS if f"| `{name}` | " not in page] == []


def test_rankings_have_names_and_words(bench: Workbench) -> None:
    assert next(iter(RANKINGS)) == "differential"
    assert all(ranking.words for ranking in RANKINGS.values())
    assert [name for name, ranking in RANKINGS.items() if not ranking.orders] == ["random"]
    with pytest.raises(InputError, match=r"select\.method: expected one of differential, absolute"):
        RANKINGS.find("best")
    with pytest.raises(InputError, match=r"select\.prompts: expected development prompts, not all"):
        Search(bench, Examples(("a day", ""), (0, 1), ("yes", "no")), SearchConfig("contrastive"),
               [0]).best(0, 1)  # fmt: skip


def head_norms(bench: Workbench, name: str, texts: list[str]) -> np.ndarray:
    """Mean norm of each of layer 1's four heads, from full passes and a hook on its module."""
    parts = []
    for text in texts:
        kept: list[torch.Tensor] = []
        projection = bench.model.get_submodule(name)
        handle = projection.register_forward_pre_hook(
            lambda module, args, kept=kept: kept.append(args[0])
        )
        with torch.no_grad():
            bench.model(torch.tensor([list(bench.encode(text))]))
        handle.remove()
        parts.append(kept[0].double().reshape(-1, 4, 8)[1:].norm(dim=-1))
    values: np.ndarray = torch.cat(parts).numpy().mean(axis=0)
    return values


@pytest.mark.parametrize(
    ("name", "projection"),
    [("gpt2", "transformer.h.1.attn.c_proj"), ("llama", "model.layers.1.self_attn.o_proj")],
)
def test_heads_are_ranked_by_their_norm(name: str, projection: str, word_tokenizer: Any) -> None:
    bench = bench_of(name, word_tokenizer)
    search = Search(bench, EXAMPLES, SearchConfig(unit="head", reference=FEW), [1])
    texts = [text for text in EXAMPLES.prompts if len(bench.encode(text)) > 1]
    difference = head_norms(bench, projection, texts) - head_norms(bench, projection, list(FEW))
    order = [int(head) for head in np.argsort(-difference) if difference[head] > 0]
    found = search.best(1, 4).selected[""]
    assert list(found.neurons) == order
    assert found.scores == pytest.approx(difference[order], abs=1e-6)
    assert search.record(4)["unit"] == "head"
    neurons = Search(bench, EXAMPLES, SearchConfig(reference=FEW), [1]).best(1, 4)
    assert neurons.selected[""].neurons != found.neurons  # nor are what is kept of the two mixed up
    with pytest.raises(InputError, match=r"select\.top_k: expected at most 4, the layer's neurons"):
        Search(bench, EXAMPLES, SearchConfig("attribution", unit="head"), [1]).check(5)
