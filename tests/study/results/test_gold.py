"""Right choices as samples say them, and what items go together by them."""

from __future__ import annotations

from typing import Any

import pytest

from sna_eval.study.results.gold import gold_choice
from sna_eval.study.results.samples import Sample

CHOICES = [" (A)2", " (B)4", " (C)9", " (D)10"]


@pytest.mark.parametrize(
    ("target", "number"),
    [
        ("2", 2), (2, 2), ("(C)9", 2), (" (C)9", 2), ("[3]", 3), ([3], 3), ("[1, 3]", 1),
        ("[9, 3]", 3), ("4", None), ("-1", None), ("[4]", None), ("[]", None), ("[", None),
        ("['B']", None), ("[" * 100_000, None), ("none", None),
    ],
)  # fmt: skip
def test_the_right_choice(target: Any, number: int | None) -> None:
    assert gold_choice(target, CHOICES) == number
    assert gold_choice(target, CHOICES[:1]) is None


def sample(document: str, target: str, choices: list[str]) -> Sample:
    arguments = {
        f"gen_args_{n}": {"arg_0": "Q:", "arg_1": choice} for n, choice in enumerate(choices)
    }
    return Sample({"doc_hash": document, "target": target, "arguments": arguments}, "here")


def test_items_go_together_by_the_words_of_their_answer() -> None:
    """Not by its place among the choices, which says nothing where these differ."""
    one = sample("a", "[0]", [" red", " blue"])
    other = sample("b", "[0]", [" green", " red"])
    same = sample("c", "1", [" black", " Red"])
    labels = [entry.cluster(None)[0] for entry in (one, other, same)]
    assert labels == ["red", "green", "red"]


def test_an_item_whose_answer_is_none_of_its_choices_stands_for_itself() -> None:
    one, other = (sample(name, "[7]", [" red", " blue"]) for name in "ab")
    assert one.cluster(None)[0] != other.cluster(None)[0]
    assert sample("a", "7", [" 7"]).cluster(None)[0] == "7"
