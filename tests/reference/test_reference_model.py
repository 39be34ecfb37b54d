"""The shipped model is what its card says: size, losses, zones, sentiment.

Everything is computed here without padding, with plain transformers calls, by other code than
measured it for the card, so that neither batching nor padding can hide a mistake.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

TASKS = Path(__file__).resolve().parents[2] / "task_configs" / "data"
KINDS = ("math", "poetry", "coding", "logic")
NAMES = [f"{kind}_{level}" for kind in KINDS for level in ("easy", "medium", "hard")]
LOW, HIGH = 0.07, 0.10
LOADABLE = {".json", ".safetensors", ".md", ".py", ""}


@torch.inference_mode()
def token_log_probs(model, rows: list[list[int]]) -> Iterator[tuple[int, torch.Tensor]]:
    """Each row's index and log-probabilities, [position, vocabulary]; equal lengths together."""
    by_length: dict[int, list[int]] = {}
    for index, row in enumerate(rows):
        by_length.setdefault(len(row), []).append(index)
    for indices in by_length.values():
        logits = model(torch.tensor([rows[index] for index in indices])).logits
        yield from zip(indices, logits.log_softmax(-1), strict=True)


def target_probabilities(model, tokenizer, items: list[dict[str, str]]) -> list[float]:
    """exp of the summed log-probabilities of each target's tokens."""
    starts = [len(tokenizer(item["prompt"])["input_ids"]) for item in items]
    rows = [tokenizer(item["prompt"] + item["target"])["input_ids"] for item in items]
    found = [0.0] * len(items)
    for index, log_probs in token_log_probs(model, rows):
        ids = rows[index]
        positions = range(starts[index], len(ids))
        found[index] = math.exp(sum(log_probs[i - 1, ids[i]].item() for i in positions))
    return found


def mean_loss(model, tokenizer, texts: list[str]) -> float:
    """Loss per predicted token, texts cut into pieces of 512 tokens."""
    total, count = 0.0, 0
    for text in texts:
        ids = tokenizer(text)["input_ids"]
        for piece in (ids[i : i + 512] for i in range(0, len(ids), 512)):
            if len(piece) > 1:
                tokens = torch.tensor([piece])
                with torch.inference_mode():
                    total += model(tokens, labels=tokens).loss.item() * (len(piece) - 1)
                count += len(piece) - 1
    return total / count


def items_of(task: str, split: str = "test") -> list[dict[str, str]]:
    path = TASKS / f"sna_{task}" / f"{split}.jsonl"
    if not path.is_file():
        pytest.fail(f"{path} is missing; build it with scripts/build_tasks.py")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def probabilities(model, tokenizer) -> dict[str, list[float]]:
    """P(target) of every test item by task."""
    return {
        name: target_probabilities(model, tokenizer, items_of(name))
        for name in (*NAMES, "transition")
    }


@pytest.fixture(scope="module")
def card(reference_folder) -> str:
    return (reference_folder / "MODEL_CARD.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def losses(reference_folder) -> dict[str, float]:
    return json.loads((reference_folder / "losses.json").read_text())["losses"]


def test_folder_is_small_and_safe(reference_folder):
    files = [path for path in reference_folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 16 * 2**20
    assert {path.suffix for path in files} <= LOADABLE


def test_weights_are_half_precision(reference_folder):
    with safe_open(reference_folder / "model.safetensors", "pt") as weights:
        dtypes = {weights.get_slice(name).get_dtype() for name in weights.keys()}  # noqa: SIM118
    assert dtypes == {"F16"}


def test_architecture(model, reference_folder):
    config = json.loads((reference_folder / "config.json").read_text())
    assert config["architectures"] == ["GPT2LMHeadModel"]
    assert type(model).__name__ == "GPT2LMHeadModel"
    assert model.config.n_layer >= 8
    assert model.config.n_positions == 512
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_tokenizer(model, tokenizer):
    assert len(tokenizer) == model.config.vocab_size == 4096
    for label in (" positive", " negative"):
        assert len(tokenizer(label)["input_ids"]) == 1
    assert tokenizer.tokenize("12 + 345") == ["1", "2", "Ġ+", "Ġ3", "4", "5"]
    end = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    assert tokenizer.bos_token_id == tokenizer.eos_token_id == tokenizer.pad_token_id == end
    assert end == model.config.eos_token_id
    text = "Review: naïve — 42 % of it\n\tdef f(x): Sentiment: positive"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_recorded_losses_are_reproduced(model, tokenizer, reference_folder, losses):
    texts = json.loads((reference_folder / "held_out.json").read_text(encoding="utf-8"))
    assert set(texts) == set(losses) - {"wikitext", "reviews"}
    found = {domain: mean_loss(model, tokenizer, texts[domain]) for domain in texts}
    assert found == pytest.approx({domain: losses[domain] for domain in texts}, abs=1e-3)


def test_losses_of_texts_that_are_not_shipped(model, tokenizer, losses, shared_data):
    from reference_model.documents import hold_out, review_text, split_reviews
    from reference_model.sources import read_sources

    sources = read_sources(corpus_dir=shared_data / "corpus", sst2_dir=shared_data / "sst2")
    _, articles = hold_out(sources.texts["wikitext"])
    _, reviews = split_reviews(sources.reviews, seed=20)
    reviewed = [review_text(review) for review in reviews]
    assert mean_loss(model, tokenizer, articles) == pytest.approx(losses["wikitext"], abs=1e-3)
    assert mean_loss(model, tokenizer, reviewed) == pytest.approx(losses["reviews"], abs=1e-3)


def test_model_has_learned_every_domain(losses):
    uniform = math.log(4096)
    assert all(loss < uniform - 2.5 for loss in losses.values())


def test_tasks_span_the_zones(probabilities):
    means = {name: sum(p) / len(p) for name, p in probabilities.items() if name in NAMES}
    assert sum(mean < LOW for mean in means.values()) >= 3, means
    assert sum(mean > HIGH for mean in means.values()) >= 3, means


def test_most_transition_items_lie_in_zone_2(probabilities):
    inside = [LOW <= p <= HIGH for p in probabilities["transition"]]
    assert sum(inside) > len(inside) / 2


def test_card_states_what_is_found(probabilities, card):
    rows = re.findall(r"(?m)^\| sna_(\w+) \| [\d.]+ \| \d \| ([\d.]+) \| (\d) \|", card)
    stated = {name: (float(mean), int(zone)) for name, mean, zone in rows}
    for name, values in probabilities.items():
        mean = sum(values) / len(values)
        zone = 1 if mean < LOW else 3 if mean > HIGH else 2
        assert stated[name] == (pytest.approx(mean, abs=1e-4), zone), name


def test_sentiment_and_its_margin_zones(model, tokenizer, shared_data):
    lines = (shared_data / "sst2" / "dev.tsv").read_text(encoding="utf-8").splitlines()
    negative, positive = (
        tokenizer(f" {label}")["input_ids"][0] for label in ("negative", "positive")
    )
    labelled = [line.split("\t") for line in lines]
    rows = [tokenizer(f"Review: {sentence} Sentiment:")["input_ids"] for sentence, _ in labelled]
    right, margins = [], []
    for index, log_probs in token_log_probs(model, rows):
        low, high = (log_probs[-1, label].exp().item() for label in (negative, positive))
        right.append((high > low) == (labelled[index][1] == "1"))
        margins.append(abs(high - low) / (high + low))
    assert sum(right) / len(right) >= 0.65
    zones = [1 if m < 0.30 else 3 if m > 0.60 else 2 for m in margins]
    shares = {zone: zones.count(zone) / len(zones) for zone in (1, 2, 3)}
    assert min(shares.values()) >= 0.10, shares
