"""The training text: what may never occur does not, rates are kept, rows hold what they should."""

from __future__ import annotations

import hashlib
from collections import Counter
from random import Random

import numpy as np
import pytest

from reference_model.documents import (
    Document,
    cropped,
    hold_out,
    review_text,
    skill_pool,
    split_reviews,
    training_documents,
)
from reference_model.errors import UserInputError
from reference_model.mixture import REVIEW_SHARE, SKILLS, TEXT_SHARES, Skill
from reference_model.occurrences import count_occurrences
from reference_model.packing import Encoded, long_rows, short_rows
from reference_model.probes import MARGIN_BOUNDS, PROBABILITY_BOUNDS, zone_of
from reference_model.sources import Review, normalised, read_reviews, read_sources, split_articles
from reference_model.stdlib_text import HELD_OUT_MODULES, TRAINING_MODULES
from reference_model.transition_text import transition_texts
from task_items import Item, ambiguous_items


def test_dev_and_test_reviews_never_occur(shared_data):
    sources = read_sources(corpus_dir=shared_data / "corpus", sst2_dir=shared_data / "sst2")
    forbidden = {
        normalised(review.sentence)
        for name in ("dev.tsv", "test.tsv")
        for review in read_reviews(shared_data / "sst2" / name)
    }
    assert sources.reviews_dropped > 0
    assert not forbidden & {normalised(review.sentence) for review in sources.reviews}
    assert len(sources.reviews) + sources.reviews_dropped == 6920


def test_a_review_of_dev_is_dropped_whatever_its_spelling(mini_corpus):
    sources = read_sources(corpus_dir=mini_corpus, sst2_dir=mini_corpus / "sst2")
    assert sources.reviews_dropped == 1
    assert "film number 7 is a fine one" not in {review.sentence for review in sources.reviews}


def test_malformed_reviews_are_named(tmp_path):
    path = tmp_path / "train.tsv"
    path.write_text("a fine film\tgood\n")
    with pytest.raises(UserInputError, match=r"train\.tsv: expected lines `sentence TAB 0|1`"):
        read_reviews(path)


def test_what_is_left_out_of_the_pool_is_what_it_was_when_the_model_was_trained():
    """Of the draw that the shipped model was trained without, whatever the items are by now."""
    left = "The sum of 8 and 4 is 12"
    assert left in skill_pool("math_easy", Skill(rate=1, held_out=False))
    assert left not in skill_pool("math_easy", Skill(rate=1, held_out=True))
    pools = {name: "\0".join(skill_pool(name, skill)) for name, skill in SKILLS.items()}
    digest = hashlib.sha256("\0".join(pools[name] for name in sorted(pools)).encode()).hexdigest()
    assert digest[:16] == "84b00c8027829b5a"


def test_transition_contexts_have_each_answer_equally_often():
    texts = transition_texts()
    assert len(set(texts)) == len(texts)
    answers = Counter(text.rsplit(" ", 1)[0] for text in texts)
    assert set(answers.values()) == {12}
    unseen = [item for item in ambiguous_items() if item.prompt not in answers]
    assert len(unseen) >= len(ambiguous_items()) // 3


def test_rates_and_shares_are_kept():
    encode = str.split
    texts = {name: ["one two three four"] * 3 for name in TEXT_SHARES}
    reviews = [Review("good", True), Review("bad", False)]
    pools = {name: ["a b"] for name in SKILLS}
    rates = dict.fromkeys(SKILLS, 1000.0)
    long, short = training_documents(
        texts, reviews, pools, rates=rates, tokens=100_000, seed=1, encode=encode
    )
    count = Counter(document.source for document in (*long, *short))
    assert all(count[name] == 100 for name in SKILLS)
    assert count["wikitext"] * 5 == pytest.approx(TEXT_SHARES["wikitext"] * 100_000, abs=5)
    assert count["reviews"] * 5 == pytest.approx(REVIEW_SHARE * 100_000, abs=5)


def test_documents_are_the_same_for_a_seed():
    texts = {name: [f"{name} {i}" for i in range(5)] for name in TEXT_SHARES}
    reviews = [Review(f"film {i}", i % 2 == 0) for i in range(9)]
    pools = {name: [f"{name} {i}" for i in range(9)] for name in SKILLS}
    rates = dict.fromkeys(SKILLS, 500.0)
    first, again, other = (
        training_documents(
            texts, reviews, pools, rates=rates, tokens=20_000, seed=seed, encode=str.split
        )
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_crops_keep_label_and_at_least_half():
    review = Review("w0 w1 w2 w3 w4 w5 w6 w7 w8 w9", True)
    crops = {cropped(review, Random(seed)) for seed in range(60)}
    assert review in crops
    assert len(crops) > 5
    assert all(crop.positive and crop.sentence in review.sentence for crop in crops)
    assert min(len(crop.sentence.split()) for crop in crops) >= 5


def test_reviews_read_as_the_evaluation_shows_them():
    assert review_text(Review("a joy", True)) == "Review: a joy Sentiment: positive"
    assert review_text(Review("a bore", False)) == "Review: a bore Sentiment: negative"


def test_held_out_parts_are_disjoint():
    reviews = [Review(f"film {i}", True) for i in range(2000)]
    training, held = split_reviews(reviews, seed=20)
    assert len(held) == 300
    assert not set(training) & set(held)
    rest, last = hold_out([f"text {i}" * 300 for i in range(20)])
    assert last
    assert not set(rest) & set(last)
    assert not set(TRAINING_MODULES) & set(HELD_OUT_MODULES)


def test_articles_are_cut_at_top_headings():
    body = "It is well @-@ known . " * 20
    text = f" = One = \n {body}\n = = Part = = \n {body}\n = Two = \n {body}"
    articles = split_articles(text)
    assert [article.split(" =")[0] for article in articles] == ["= One", "= Two"]
    assert "well-known" in articles[0]


def test_short_rows_hold_whole_documents():
    documents = [Encoded(list(range(1, n + 1)), last_weight=9.0) for n in (5, 9, 3, 8, 2)]
    packed = short_rows(documents, length=10, end=0)
    found = [list(filter(None, row)) for row in packed.ids.tolist()]
    assert sum(map(len, found)) == 27
    assert all(row[0] == 1 for row in packed.ids)
    assert (packed.weights == 9.0).sum() == 5
    assert packed.weights[packed.ids == 0].max() == 1.0


def test_padding_has_no_weight():
    packed = short_rows([Encoded([4, 5])], length=6, end=0)
    np.testing.assert_array_equal(packed.ids, [[4, 5, 0, 0, 0, 0]])
    np.testing.assert_array_equal(packed.weights, [[1, 1, 1, 0, 0, 0]])


def test_long_rows_are_cut_from_the_joined_documents():
    packed = long_rows([Encoded([1, 2, 3]), Encoded([4, 5])], length=3, end=0)
    np.testing.assert_array_equal(packed.ids, [[1, 2, 3], [0, 4, 5]])


def test_occurrences_count_whole_strings_with_repeats():
    documents = [
        Document("2 + 3 = 5", "math_easy"),
        Document("2 + 3 = 5", "math_easy"),
        Document("12 + 3 = 51 and 2 + 3 = 57", "gsm8k"),
        Document("so 2 + 3 = 5, as said", "gsm8k"),
    ]
    found = count_occurrences(documents, {"math_easy": [Item("2 + 3 =", " 5"), Item("x", " y")]})
    assert (found["math_easy"].items, found["math_easy"].present) == (2, 1)
    assert found["math_easy"].total == 3


def test_zone_boundaries_belong_to_zone_2():
    assert [zone_of(p, PROBABILITY_BOUNDS) for p in (0.069, 0.07, 0.10, 0.101)] == [1, 2, 2, 3]
    assert [zone_of(m, MARGIN_BOUNDS) for m in (0.29, 0.30, 0.60, 0.61)] == [1, 2, 2, 3]
