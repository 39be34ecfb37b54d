"""Short programs and what they print, for the semantics task.

Results are computed here beside the snippet's text by the same operation, never by running the
text; the tests run the text and compare.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from .item import Item

_WORDS = (
    "apple", "river", "stone", "paper", "green", "table", "horse", "music", "light", "water",
    "bread", "cloud",
)  # fmt: skip
_LISTS = (
    "items", "values", "numbers", "data", "sizes", "scores",
)  # fmt: skip

Program = tuple[str, str, object]
"""Statements (may be empty), the expression that is printed, and its value."""


def snippets(rng: Random) -> Iterator[Item]:
    """Each kind of program with fresh values, ending in a print or in an assertion."""
    for make in _KINDS:
        for turn in range(16):
            statements, expression, value = make(rng)
            yield _layout(turn, statements, expression, value)


def _layout(turn: int, statements: str, expression: str, value: object) -> Item:
    lines = statements.splitlines()
    # A string on the right of == would need quotes, and its target more than one token.
    ending = (
        f"assert {expression} =="
        if turn % 2 and isinstance(value, int)
        else f"print({expression})  # prints"
    )
    return Item("\n".join([*lines, ending]), f" {value}")


def _numbers(rng: Random, count: int) -> list[int]:
    return [rng.randint(1, 20) for _ in range(count)]


def _length(rng: Random) -> Program:
    values, name = _numbers(rng, rng.randint(2, 7)), rng.choice(_LISTS)
    return f"{name} = {values}", f"len({name})", len(values)


def _index(rng: Random) -> Program:
    values, name, at = _numbers(rng, 5), rng.choice(_LISTS), rng.randint(0, 4)
    return f"{name} = {values}", f"{name}[{at}]", values[at]


def _from_end(rng: Random) -> Program:
    values, name, back = _numbers(rng, 5), rng.choice(_LISTS), rng.randint(1, 3)
    return f"{name} = {values}", f"{name}[-{back}]", values[-back]


def _extreme(rng: Random) -> Program:
    values, name = rng.sample(range(2, 60), 4), rng.choice(_LISTS)
    call: Callable[[list[int]], int] = rng.choice((max, min))
    return f"{name} = {values}", f"{call.__name__}({name})", call(values)


def _total(rng: Random) -> Program:
    values, name = _numbers(rng, 3), rng.choice(_LISTS)
    return f"{name} = {values}", f"sum({name})", sum(values)


def _ordered(rng: Random) -> Program:
    values, name = rng.sample(range(2, 60), 4), rng.choice(_LISTS)
    return f"{name} = sorted({values})", f"{name}[1]", sorted(values)[1]


def _lookup(rng: Random) -> Program:
    words = rng.sample(_WORDS, 3)
    table = {word: rng.randint(2, 40) for word in words}
    wanted = rng.choice(words)
    return f"stock = {table}", f"stock['{wanted}']", table[wanted]


def _default(rng: Random) -> Program:
    words = rng.sample(_WORDS, 3)
    table, fallback = {word: rng.randint(2, 40) for word in words[:2]}, rng.randint(41, 90)
    return f"prices = {table}", f"prices.get('{words[2]}', {fallback})", fallback


def _remainder(rng: Random) -> Program:
    total, part = rng.randint(20, 99), rng.randint(3, 9)
    return f"total = {total}\npart = {part}", "total % part", total % part


def _quotient(rng: Random) -> Program:
    total, part = rng.randint(20, 99), rng.randint(3, 9)
    return f"total = {total}\npart = {part}", "total // part", total // part


def _function(rng: Random) -> Program:
    factor, offset, x = rng.randint(2, 6), rng.randint(1, 9), rng.randint(2, 9)
    body = f"def scale(x):\n    return {factor} * x + {offset}\n"
    return body, f"scale({x})", factor * x + offset


def _loop(rng: Random) -> Program:
    start, step, times = rng.randint(0, 9), rng.randint(2, 6), rng.randint(2, 6)
    text = f"n = {start}\nfor i in range({times}):\n    n += {step}"
    return text, "n", start + step * times


def _branch(rng: Random) -> Program:
    x, limit = rng.randint(1, 20), rng.randint(5, 15)
    first, second = rng.sample(_WORDS, 2)
    text = f"x = {x}\nif x > {limit}:\n    word = '{first}'\nelse:\n    word = '{second}'"
    return text, "word", first if x > limit else second


def _swap(rng: Random) -> Program:
    a, b = rng.sample(range(2, 60), 2)
    return f"a, b = {a}, {b}\na, b = b, a", "a", b


def _split(rng: Random) -> Program:
    words, at = rng.sample(_WORDS, 3), rng.randint(0, 2)
    text = f"line = '{','.join(words)}'\nparts = line.split(',')\nfor part in parts[:{at + 1}]:"
    return f"{text}\n    last = part", "last", words[at]


def _unique(rng: Random) -> Program:
    values = [rng.randint(1, 5) for _ in range(rng.randint(4, 8))]
    return f"seen = set({values})", "len(seen)", len(set(values))


def _tally(rng: Random) -> Program:
    values = [rng.randint(1, 4) for _ in range(8)]
    wanted = rng.choice(values)
    return f"votes = {values}", f"votes.count({wanted})", values.count(wanted)


def _append(rng: Random) -> Program:
    values, more = _numbers(rng, rng.randint(2, 4)), rng.randint(21, 60)
    return f"stack = {values}\nstack.append({more})", "stack[-1]", more


def _filtered(rng: Random) -> Program:
    values, limit = rng.sample(range(1, 30), 6), rng.randint(8, 20)
    text = f"values = {values}\nbig = [v for v in values if v > {limit}]"
    return text, "len(big)", len([v for v in values if v > limit])


_KINDS: tuple[Callable[[Random], Program], ...] = (
    _length, _index, _from_end, _extreme, _total, _ordered, _lookup, _default, _remainder,
    _quotient, _function, _loop, _branch, _swap, _split, _unique, _tally, _append, _filtered,
)  # fmt: skip
