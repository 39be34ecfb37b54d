"""Arithmetic items: one-digit sums, two-digit sums, products and two-step expressions.

Every expression has a non-negative result below 200, so that the answer is one GPT-2 token.
Subtraction and division alone are not asked; subtraction occurs as one of two steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from .item import Item, distinct

_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
)  # fmt: skip

_SUM_TEMPLATES = (
    "{a} + {b} =",
    "{a} plus {b} equals",
    "The sum of {a} and {b} is",
    "Question: What is {a} + {b}? Answer:",
    "Adding {b} to {a} gives",
)

_STORY_SUM_TEMPLATES = (
    "A basket holds {a} apples. After {b} more are put in, the number of apples is",
    "There were {a} birds in the tree and {b} more came, so the number of birds became",
    "On Monday she read {a} pages and on Tuesday {b} pages; the total number of pages is",
)

_PRODUCT_TEMPLATES = (
    "{a} * {b} =",
    "{a} times {b} equals",
    "The product of {a} and {b} is",
    "Question: What is {a} x {b}? Answer:",
    "There are {a} shelves with {b} books each, so the number of books is",
)

_TWO_STEP_SHAPES = (
    "{a} * {b} + {c} =",
    "{a} * {b} - {c} =",
    "({a} + {b}) * {c} =",
    "{c} + {a} * {b} =",
    "Multiply {a} by {b}, then add {c}; the result is",
    "Multiply {a} by {b}, then subtract {c}; the result is",
    "Add {a} and {b}, then multiply by {c}; the result is",
    "There are {a} boxes with {b} pens each and {c} loose pens, so the number of pens is",
    "A farmer fills {a} crates with {b} eggs each; {c} eggs break, so the number left is",
)


def one_digit_sums() -> list[Item]:
    """Sums of two numbers from 1 to 9, in figures and in words."""
    pairs = [(a, b) for a in range(1, 10) for b in range(1, 10)]
    figures = [
        Item(template.format(a=a, b=b), f" {a + b}", _pair(a, b))
        for template in _SUM_TEMPLATES
        for a, b in pairs
    ]
    words = [
        Item(f"{_WORDS[a].capitalize()} plus {_WORDS[b]} is", f" {_WORDS[a + b]}", _pair(a, b))
        for a, b in pairs
    ]
    return distinct([*figures, *words])


def two_digit_sums() -> list[Item]:
    """Sums of two numbers from 11 to 98; a seeded sample of pairs for each template."""
    rng = Random(11)
    pairs = [(a, b) for a in range(11, 99) for b in range(11, 99)]
    templates = _SUM_TEMPLATES + _STORY_SUM_TEMPLATES
    return distinct(
        Item(template.format(a=a, b=b), f" {a + b}", _pair(a, b))
        for template in templates
        for a, b in rng.sample(pairs, 100)
    )


def products_and_two_steps() -> list[Item]:
    """Products of numbers from 2 to 19 and expressions of two operations."""
    return distinct([*_products(), *_two_steps()])


def _products() -> Iterator[Item]:
    rng = Random(12)
    pairs = [(a, b) for a in range(3, 15) for b in range(3, 20) if 10 < a * b < 200]
    for template in _PRODUCT_TEMPLATES:
        for a, b in rng.sample(pairs, 70):
            yield Item(template.format(a=a, b=b), f" {a * b}", _pair(a, b))


def _two_steps() -> Iterator[Item]:
    rng = Random(13)
    for shape in _TWO_STEP_SHAPES:
        for _ in range(50):
            a, b, c = rng.randint(2, 9), rng.randint(3, 12), rng.randint(2, 9)
            result = _two_step_result(shape, a, b, c)
            if 0 < result < 200:
                yield Item(shape.format(a=a, b=b, c=c), f" {result}")


def _pair(a: int, b: int) -> str:
    """The two numbers without their order: 3 + 4 and 4 + 3 are one fact."""
    return f"{min(a, b)},{max(a, b)}"


def _two_step_result(shape: str, a: int, b: int, c: int) -> int:
    if shape.startswith(("(", "Add")):
        return (a + b) * c
    loses = "-" in shape or "subtract" in shape or "break" in shape
    return a * b - c if loses else a * b + c
