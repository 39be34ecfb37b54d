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

_FURTHER_SUM_TEMPLATES = (
    "{a} + {b} equals",
    "{a} plus {b} is",
    "The total of {a} and {b} is",
    "The answer to {a} + {b} is",
    "Question: What is {a} plus {b}? Answer:",
    "Question: What is the sum of {a} and {b}? Answer:",
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

_ONE_DIGIT = [(a, b) for a in range(1, 10) for b in range(1, 10)]


def one_digit_sums() -> list[Item]:
    """Sums of two numbers from 1 to 9, in figures and in words."""
    words = [
        Item(
            f"{_WORDS[a].capitalize()} plus {_WORDS[b]} is",
            f" {_WORDS[a + b]}",
            _pair(a, b),
            cluster=str(a + b),
        )
        for a, b in _ONE_DIGIT
    ]
    return distinct([*_figures(_SUM_TEMPLATES), *words])


def further_one_digit_sums() -> list[Item]:
    """The same sums in other wordings."""
    return distinct(_figures(_FURTHER_SUM_TEMPLATES))


def _figures(templates: tuple[str, ...]) -> list[Item]:
    return [
        Item(template.format(a=a, b=b), f" {a + b}", _pair(a, b))
        for template in templates
        for a, b in _ONE_DIGIT
    ]


def two_digit_sums() -> list[Item]:
    """Sums of two numbers from 11 to 98; a seeded sample of pairs for each template."""
    return _two_digit_sums(Random(11), 100)


def further_two_digit_sums() -> list[Item]:
    """Sums of other such pairs."""
    return _two_digit_sums(Random(14), 60)


def _two_digit_sums(rng: Random, pairs_each: int) -> list[Item]:
    pairs = [(a, b) for a in range(11, 99) for b in range(11, 99)]
    templates = _SUM_TEMPLATES + _STORY_SUM_TEMPLATES
    return distinct(
        Item(template.format(a=a, b=b), f" {a + b}", _pair(a, b))
        for template in templates
        for a, b in rng.sample(pairs, pairs_each)
    )


def products_and_two_steps() -> list[Item]:
    """Products of numbers from 2 to 19 and expressions of two operations."""
    return distinct([*_products(Random(12)), *_two_steps(Random(13))])


def further_products_and_two_steps() -> list[Item]:
    """The same of other numbers."""
    return distinct([*_products(Random(15)), *_two_steps(Random(16))])


def _products(rng: Random) -> Iterator[Item]:
    pairs = [(a, b) for a in range(3, 15) for b in range(3, 20) if 10 < a * b < 200]
    for template in _PRODUCT_TEMPLATES:
        for a, b in rng.sample(pairs, 70):
            yield Item(template.format(a=a, b=b), f" {a * b}", _pair(a, b))


def _two_steps(rng: Random) -> Iterator[Item]:
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
