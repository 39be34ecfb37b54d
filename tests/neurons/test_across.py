"""Neurons of all layers together: found by pairs, without universal ones, as full passes say."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from sna_eval.errors import InputError
from sna_eval.gating import Gate
from sna_eval.intervention import find_sites
from sna_eval.methods import METHODS
from sna_eval.neurons import Examples, Search, SearchConfig, Workbench
from sna_eval.neurons.pairs import Pair, pair_examples, read_pairs
from sna_eval.neurons.universal import OF_PROMPTS, Universal, counted, universal_neurons
from sna_eval.plan import Plan, PlannedIntervention, TaskPlan, parse_plan, plan_to_dict
from sna_eval.plan.resolving import resolve_task
from tests.conftest import CONFIGS, VOCABULARY, build_model
from tests.neurons.plain_hooks import activations

PAIRS = (
    Pair("a warm film and it made me laugh", "a dull film and I want my time back"),
    Pair("the cast is fine", "the cast is poor and the plot"),
    Pair("good, warm, kind", "bad, cold"),
)
UNRELATED = (
    "the capital of", "two and two is", "once there was a king", "boil the egg",
    "dear sir, we", "a violin has four", "rain fell on", "SELECT name",
)  # fmt: skip
NEUTRAL = ("a day and a night", "the ferry leaves at dawn")
DEVELOPMENT = Examples(("one and two is", "nine and one is", "the sum of four"))
SHARE = 0.05


def bench_of(name: str, tokenizer: Any) -> Workbench:
    model = build_model(name, vocab_size=VOCABULARY, max_position_embeddings=256)
    return Workbench(model, find_sites(model), lambda text: tokenizer.encode(text))


def last_tokens(bench: Workbench, texts: Any) -> torch.Tensor:
    """`[text, layer, d_mlp]`."""
    return torch.stack([activations(bench.model, bench.encode(text))[:, -1] for text in texts])


def top(values: torch.Tensor, count: int) -> set[tuple[int, int]]:
    """The places of the largest values of `[layer, d_mlp]`."""
    width = values.shape[1]
    order = sorted(range(values.numel()), key=lambda n: (-float(values.flatten()[n]), n))
    return {divmod(n, width) for n in order[:count]}


def universal_by_hand(bench: Workbench, share: float) -> set[tuple[int, int]]:
    values = last_tokens(bench, UNRELATED).abs()
    counts = Counter(
        place
        for strengths in values
        for place in top(strengths, max(1, round(share * strengths.numel())))
    )
    return {place for place, count in counts.items() if count >= 0.8 * len(UNRELATED)}


def resolved(
    bench: Workbench, entry: dict[str, Any], development: Examples = DEVELOPMENT
) -> tuple[PlannedIntervention, ...]:
    plan = parse_plan({"version": 1, "tasks": {"task": {"interventions": [entry]}}})
    return resolve_task(plan.tasks["task"], bench, lambda most: development).interventions


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prompts")
    lines = [json.dumps({"positive": pair.positive, "negative": pair.negative}) for pair in PAIRS]
    (folder / "pairs.jsonl").write_text("\n".join(lines) + "\n\n")
    (folder / "unrelated.txt").write_text("\n".join(UNRELATED) + "\n")
    return folder


@pytest.mark.parametrize("name", CONFIGS)
def test_cna_is_what_its_formulas_say(name: str, files: Path, word_tokenizer: Any) -> None:
    """Last tokens, positive less negative, the largest distances of all layers, none universal."""
    bench = bench_of(name, word_tokenizer)
    select = {
        "prompts": str(files / "pairs.jsonl"), "share": SHARE,
        "unrelated_prompts": str(files / "unrelated.txt"),
    }  # fmt: skip
    entries = resolved(bench, {"method": "cna", "multiplier": 2.0, "select": select})
    positive = last_tokens(bench, [pair.positive for pair in PAIRS])
    negative = last_tokens(bench, [pair.negative for pair in PAIRS])
    distance = (positive.mean(0) - negative.mean(0)).abs()
    universal = universal_by_hand(bench, SHARE)
    for layer, neuron in universal:
        distance[layer, neuron] = -1.0
    count = round(SHARE * distance.numel())
    chosen = {(entry.layer, n): score for entry in entries
              for n, score in zip(entry.neurons[""], entry.scores[""], strict=True)}  # fmt: skip
    assert set(chosen) == top(distance, count)
    for place, score in chosen.items():
        assert score == pytest.approx(float(distance[place]), abs=1e-5)
    assert [entry.layer for entry in entries] == sorted({entry.layer for entry in entries})
    assert {(entry.multiplier, entry.method) for entry in entries} == {(2.0, "cna")}
    dropped = entries[0].found.universal["dropped"]
    assert {(int(layer), n) for layer, neurons in dropped.items() for n in neurons} == universal
    assert universal or name != "gpt2", "nothing would be left out"


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_differential_across_layers(name: str, word_tokenizer: Any) -> None:
    """Means over tokens, task less neutral text; only what is positive."""
    bench = bench_of(name, word_tokenizer)

    def mean(texts: Any) -> torch.Tensor:
        parts = [activations(bench.model, bench.encode(text))[:, 1:] for text in texts]
        return torch.cat(parts, dim=1).mean(dim=1)

    config = SearchConfig(reference=NEUTRAL)
    search = Search(bench, DEVELOPMENT, config, bench.sites.layers)
    found = {
        (layer, neuron)
        for layer, counts in search.across(12).items()
        for neuron in search.best(layer, counts[""]).selected[""].neurons
    }
    assert found == top(mean(DEVELOPMENT.prompts) - mean(NEUTRAL), 12)


def test_every_label_has_as_many_across_layers(word_tokenizer: Any) -> None:
    bench = bench_of("gpt2", word_tokenizer)
    examples = Examples(("good film", "warm and kind", "bad plot", "cold, dull"), (0, 0, 1, 1),
                        ("good", "bad"))  # fmt: skip
    entries = resolved(
        bench,
        {"multiplier": 2.0, "select": {"method": "contrastive", "across_layers": True, "top_k": 9}},
        examples,
    )
    for label in ("good", "bad"):
        assert sum(len(entry.neurons[label]) for entry in entries) == 9
        scores = [score for entry in entries for score in entry.scores[label]]
        kept = min(scores)
        layer = next(entry.layer for entry in entries if len(entry.neurons[label]))
        beyond = Search(bench, examples, SearchConfig("contrastive"), [layer]).best(layer, 10)
        assert all(
            score <= kept
            for neuron, score in zip(
                beyond.selected[label].neurons, beyond.selected[label].scores, strict=True
            )
            if neuron not in next(o for o in entries if o.layer == layer).neurons[label]
        )


@pytest.mark.parametrize(
    "control",
    [{"method": "random_neurons"}, {"select": {"method": "random"}}, {"method": "bottom_neurons"}],
    ids=str,
)
def test_controls_have_as_many_neurons_in_every_layer(
    control: dict[str, Any], word_tokenizer: Any
) -> None:
    """And none of those that they stand in for, nor, drawn, a universal one."""
    bench = bench_of("llama", word_tokenizer)
    across = {"across_layers": True, "share": SHARE, "drop_universal": True}
    claim = resolved(bench, {"multiplier": 2.0, "select": across})
    other = {**control, "multiplier": 2.0, "select": {**across, **control.get("select", {})}}
    drawn = resolved(bench, other)
    counts = {entry.layer: len(entry.neurons[""]) for entry in claim}
    assert counts == {entry.layer: len(entry.neurons[""]) for entry in drawn}
    assert sum(counts.values()) == round(SHARE * 4 * bench.sites.d_mlp)
    left_out = Universal(SHARE).found(bench)
    for first, second in zip(claim, drawn, strict=True):
        assert not {*first.neurons[""]} & {*second.neurons[""]}
        assert not {*left_out.get(first.layer, ())} & {*first.neurons[""], *second.neurons[""]}


def test_universal_neurons_of_one_layer_are_left_out_too(files: Path, word_tokenizer: Any) -> None:
    bench = bench_of("gpt2", word_tokenizer)
    rule = Universal(SHARE, str(files / "unrelated.txt"))
    places = rule.found(bench)
    layer = next(iter(places))
    every = Search(bench, DEVELOPMENT, SearchConfig("absolute"), [layer]).best(layer, 40)
    search = Search(bench, DEVELOPMENT, SearchConfig("absolute", universal=rule), [layer])
    expected = [n for n in every.selected[""].neurons if n not in places[layer]]
    assert list(search.best(layer, 20).selected[""].neurons) == expected[:20]
    assert search.record(20)["universal"]["of_prompts"] == OF_PROMPTS


def test_heads_across_layers(word_tokenizer: Any) -> None:
    bench = bench_of("llama", word_tokenizer)
    entries = resolved(
        bench, {"multiplier": 2.0, "unit": "head", "select": {"across_layers": True, "top_k": 3}}
    )
    assert sum(len(entry.neurons[""]) for entry in entries) <= 3
    assert all(n < 4 for entry in entries for n in entry.neurons[""])
    counts = universal_neurons(bench.of("head"), UNRELATED, share=0.25)
    assert all(n < 4 for heads in counts.values() for n in heads)


def test_a_resolved_plan_is_read_again(files: Path, word_tokenizer: Any) -> None:
    """And says how it was found; a second time it comes out of the cache."""
    bench = bench_of("gpt2", word_tokenizer)
    entry = {"method": "cna", "multiplier": 0.5,
             "select": {"prompts": str(files / "pairs.jsonl"), "top_k": 7}}  # fmt: skip
    entries = resolved(bench, entry)
    plan = Plan({"task": TaskPlan(Gate(), entries)})
    assert parse_plan(plan_to_dict(plan)) == plan
    found = entries[0].found.to_dict()
    assert found["prompts"] == "pairs.jsonl"
    assert (found["reference"], found["pooling"], found["by"]) == ("negative", "last", "cna")
    assert (found["top_k"], found["across_layers"], found["n_prompts"]) == (7, True, 6)
    assert found["universal"]["prompts"] == "bundled"
    assert "reference_hash" not in found
    assert resolved(bench, entry) == entries


@pytest.mark.parametrize(("share", "neurons", "count"), [(0.001, 46080, 46), (0.001, 256, 1)])
def test_a_share_is_a_number_of_neurons(share: float, neurons: int, count: int) -> None:
    assert counted(share, neurons) == count


def test_as_many_pairs_as_are_asked_for() -> None:
    examples = pair_examples(PAIRS, None).at_most(1)
    assert examples.prompts == (PAIRS[1].positive, PAIRS[1].negative)
    assert examples.labels == (0, 1)


def test_messages_go_through_the_chat_template(tmp_path: Path) -> None:
    said = [{"role": "user", "content": "Be kind."}]
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps({"positive": said, "negative": "as it is"}))
    examples = pair_examples(
        read_pairs(str(path)),
        lambda said: "".join("<{role}>{content}".format(**one) for one in said),
    )
    assert examples.prompts == ("<user>Be kind.", "as it is")
    with pytest.raises(InputError, match="a tokenizer with a chat template, for chat messages"):
        pair_examples(read_pairs(str(path)), None)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"pairs.jsonl:2: expected .\"positive\""),
        ("[]", r"pairs.jsonl:2: expected"),
        ('{"positive": "a"}', r"pairs.jsonl:2.negative: expected a text, or a list of chat"),
        ('{"positive": "a", "negative": 3}', r"pairs.jsonl:2.negative: expected a text, or a list"),
        ('{"positive": " ", "negative": "b"}', r"pairs.jsonl:2.positive: expected a text"),
        ('{"positive": "a", "negative": "b", "c": 1}', r"2.c: expected one of positive, negative"),
        ('{"positive": [], "negative": "b"}', r"2.positive: expected a text, or a list of chat"),
        (
            '{"positive": [{"role": "user"}], "negative": "b"}',
            r"2.positive\[0\]: expected .\"role\"",
        ),
        (
            '{"positive": [{"role": "user", "content": 1}], "negative": "b"}',
            r"2.positive\[0\].content: expected a text",
        ),
    ],
)
def test_a_pair_that_is_none(line: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"positive": "a", "negative": "b"}\n' + line + "\n")
    with pytest.raises(InputError, match=message):
        read_pairs(str(path))


def test_files_that_are_not_there(tmp_path: Path, word_tokenizer: Any) -> None:
    with pytest.raises(InputError, match=r"select.prompts: expected a file of pairs"):
        read_pairs(str(tmp_path / "none.jsonl"))
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(InputError, match=r"select.prompts: expected a file of pairs.*empty"):
        read_pairs(str(tmp_path / "empty.jsonl"))
    for text in (None, "\n"):
        if text is not None:
            (tmp_path / "none.txt").write_text(text)
        with pytest.raises(InputError, match="unrelated_prompts: expected a file of prompts"):
            Universal(prompts=str(tmp_path / "none.txt")).texts()


def test_what_is_not_activated_more_is_refused(word_tokenizer: Any) -> None:
    bench = bench_of("gpt2", word_tokenizer)
    same = pair_examples([Pair("a day", "a day")], None)
    with pytest.raises(InputError, match="across_layers: expected neurons that the prompts"):
        resolved(
            bench, {"multiplier": 2.0, "select": {"across_layers": True}},
            Examples(same.prompts, same.labels, same.label_names, paired=True),
        )  # fmt: skip


def test_cna_is_a_method_that_chooses_neurons() -> None:
    assert METHODS.find("cna").chooses_neurons
