"""The training documents: every source at its rate, in a seeded order; and what is held out.

`training_documents` draws documents until each source's share of the token budget is filled. A
source that is too small is repeated in freshly shuffled passes. Held-out text is set aside first
and never drawn.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from task_items import CANDIDATES, Item
from task_items.left_out import left_out

from .errors import UserInputError
from .mixture import REVIEW_SHARE, TEXT_SHARES, Skill
from .sources import Review, Sources
from .stdlib_text import HELD_OUT_MODULES, read_stdlib
from .transition_text import transition_texts

HELD_OUT_REVIEWS = 300
HELD_OUT_CHARACTERS = 8_000
CROP_SHARE = 0.5
SHORTEST_CROP = 4

Encode = Callable[[str], list[int]]


@dataclass(frozen=True)
class Document:
    """One training text and where it comes from."""

    text: str
    source: str
    labelled: bool = False
    """True for reviews: the last token is a label and may carry more weight."""


def review_text(review: Review) -> str:
    """A labelled review in the form in which the evaluation shows it."""
    return f"Review: {review.sentence} Sentiment: {'positive' if review.positive else 'negative'}"


def split_reviews(reviews: list[Review], *, seed: int) -> tuple[list[Review], list[Review]]:
    """Reviews for training and for the training script's own validation."""
    shuffled = list(reviews)
    Random(seed).shuffle(shuffled)
    kept = min(HELD_OUT_REVIEWS, len(shuffled) // 4)
    return shuffled[kept:], shuffled[:kept]


def hold_out(texts: list[str]) -> tuple[list[str], list[str]]:
    """Split off the last documents, as many as fit into the held-out size, but always one."""
    held: list[str] = []
    rest = list(texts)
    while len(rest) > 1 and (
        not held or sum(map(len, held)) + len(rest[-1]) <= HELD_OUT_CHARACTERS
    ):
        held.append(rest.pop()[:HELD_OUT_CHARACTERS])
    return rest, held


def hold_out_text(sources: Sources) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Natural text for training and held out, by domain; Python holds out whole modules."""
    training: dict[str, list[str]] = {}
    held: dict[str, list[str]] = {}
    for name, texts in sources.texts.items():
        training[name], held[name] = hold_out(texts)
    training["python"] = sources.texts["python"]
    held["python"] = [text[: HELD_OUT_CHARACTERS // 4] for text in read_stdlib(HELD_OUT_MODULES)]
    return training, held


def task_items(task_data: Path, task: str, split: str) -> list[Item]:
    """The bundled items of `sna_{task}`; empty while they have not been built."""
    path = task_data / f"sna_{task}" / f"{split}.jsonl"
    if not path.is_file():
        return []
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        Item(record["prompt"], record["target"], cluster=record.get("cluster", ""))
        for record in records
    ]


def skill_pool(name: str, skill: Skill) -> list[str]:
    """The texts that exercise a skill: its candidates, less those left out if it is held out."""
    if name == "transition":
        return transition_texts()
    candidates = CANDIDATES[name]()
    prompts = {item.prompt for item in left_out(name, candidates)} if skill.held_out else set()
    return [item.prompt + item.target for item in candidates if item.prompt not in prompts]


def cropped(review: Review, rng: Random) -> Review:
    """Now and then a run of words from the sentence, at least half of it, under the same label."""
    words = review.sentence.split()
    if rng.random() >= CROP_SHARE or len(words) <= SHORTEST_CROP:
        return review
    length = rng.randint(max(SHORTEST_CROP, len(words) // 2), len(words))
    start = rng.randint(0, len(words) - length)
    return Review(" ".join(words[start : start + length]), review.positive)


def training_documents(
    texts: dict[str, list[str]],
    reviews: list[Review],
    pools: dict[str, list[str]],
    *,
    rates: dict[str, float],
    tokens: int,
    seed: int,
    encode: Encode,
) -> tuple[list[Document], list[Document]]:
    """Long documents (natural text) and short ones (reviews and skills), each shuffled."""
    rng = Random(seed)
    long = [
        Document(text, name)
        for name, share in TEXT_SHARES.items()
        for text in _until(_passes(texts[name], rng), share * tokens, encode)
    ]
    short = [
        Document(text, "reviews", labelled=True)
        for text in _until(_review_passes(reviews, rng), REVIEW_SHARE * tokens, encode)
    ]
    for name, pool in pools.items():
        drawn = _passes(pool, rng)
        count = round(rates[name] * tokens / 1e6)
        short += [Document(next(drawn), name) for _ in range(count)]
    rng.shuffle(long)
    rng.shuffle(short)
    return long, short


def _passes(texts: list[str], rng: Random) -> Iterator[str]:
    """The texts over and over, shuffled anew for each pass."""
    if not texts:
        raise UserInputError(
            "training text: a source holds no documents; check the --corpus folder"
        )
    while True:
        order = list(texts)
        rng.shuffle(order)
        yield from order


def _review_passes(reviews: list[Review], rng: Random) -> Iterator[str]:
    order = list(reviews)
    if not order:
        raise UserInputError("training text: no reviews left to train on; check the --sst2 folder")
    while True:
        rng.shuffle(order)
        for review in order:
            yield review_text(cropped(review, rng))


def _until(texts: Iterator[str], tokens: float, encode: Encode) -> Iterator[str]:
    """Texts until their tokens, each with its end token, fill the budget."""
    used = 0
    while used < tokens:
        text = next(texts)
        used += len(encode(text)) + 1
        yield text
