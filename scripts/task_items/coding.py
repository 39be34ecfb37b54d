"""Coding items: Python syntax, idiom, and semantics.

Syntax and idiom are near-forced continuations; semantics asks what a snippet prints (the snippets
and their results come from `snippets.py`) or which method gives a stated result.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from .idioms import FURTHER_IDIOMS, IDIOMS, METHODS
from .item import Item, distinct, sentence
from .snippets import snippets

_ITEMS = (
    ("line", "lines"), ("word", "words"), ("user", "users"), ("row", "rows"), ("name", "names"),
    ("path", "paths"), ("item", "items"), ("key", "keys"), ("node", "nodes"), ("file", "files"),
    ("score", "scores"), ("token", "tokens"), ("color", "colors"), ("point", "points"),
    ("event", "events"), ("price", "prices"), ("task", "tasks"), ("field", "fields"),
)  # fmt: skip

_MODULES = (
    "math", "random", "json", "time", "datetime", "collections", "itertools", "pathlib",
    "functools", "typing",
)  # fmt: skip

# (prompt with {one} and {many} to fill, what the grammar demands next)
_SYNTAX = (
    ("for {one}", " in"),
    ("{many} = load()\nfor {one}", " in"),
    ("def first({many}):\n    for {one}", " in"),
    ("names = [{one}.name for {one}", " in"),
    ("if {one} not", " in"),
    ("for {one} in {many}", ":"),
    ("while {one}", ":"),
    ("if not {many}", ":"),
    ("if {one} is None", ":"),
    ("check = lambda {one}", ":"),
    ("if {many}:\n    use({many})\nelse", ":"),
    ("result = {one} if {many}", " else"),
    ("size = 1 if {one} is None", " else"),
    ("print({one}", ")"),
    ("count = len({many}", ")"),
    ("{many} = sorted(set({many}", "))"),
    ("total = sum({one}.size for {one} in {many}", ")"),
    ("first = {many}[0", "]"),
    ("last = {many}[-1", "]"),
    ("{many} = [1, 2, 3", "]"),
    ("with open({one})", " as"),
    ("with lock_for({one})", " as"),
    ("{one} = {{'a': 1, 'b': 2", "}}"),
    ("label = f'The {one} is {{{one}", "}}"),
    ("seen = {{{one}.id", "}}"),
    ("title = '{one}", "'"),
    ("def label(self):\n    return '{one}", "'"),
    ("async for {one}", " in"),
    ("raise ValueError({one}", ")"),
    ("del {many}[0", "]"),
    ("return {one} if {many}", " else"),
    ("{one} = {one}.strip()\nassert {one} is", " not"),
)

_FURTHER_ITEMS = (
    ("card", "cards"), ("page", "pages"), ("book", "books"), ("team", "teams"), ("edge", "edges"),
    ("image", "images"), ("label", "labels"), ("order", "orders"), ("game", "games"),
    ("letter", "letters"), ("number", "numbers"), ("message", "messages"),
)  # fmt: skip

# The same with further answers.
_FURTHER_SYNTAX = (
    ("if isinstance({one}, str", "):"),
    ("class {one}(object", "):"),
    ("def add(self, {one}", "):"),
    ("{one} = {one}.strip", "()"),
    ("{many} = set", "()"),
    ("{one} = len", "("),
    ("{many} = sorted", "("),
    ("table = {{'{one}", "':"),
    ("if {one} == '{many}", "':"),
    ("{many}", " ="),
    ("{one}, index", " ="),
    ("open({one}, encoding", "="),
    ("sorted({many}, key", "="),
    ("{many} = [{one}.name", " for"),
    ("total = sum({one}.size", " for"),
    ("class {one}:\n    def get(", "self"),
    ("@property\ndef {one}(", "self"),
    ("def {one}(self):\n    return self", "."),
    ("if {one} is", " None"),
    ("return {one} is", " None"),
    ("for i in range(len({many}) -", " 1"),
    ("{one}['a'] +=", " 1"),
    ("if {many}[0", "]:"),
    ("if not {many}[0", "]:"),
    ("print({many}[0", "])"),
    ("def {one}(*", "args"),
)

# A comprehension names what its first part uses.
_NAMED = ("names = [{one}.name for", "total = sum({one}.size for")


def syntax() -> list[Item]:
    """A line of Python cut where the grammar leaves (nearly) one way to go on."""
    rng = Random(41)
    filled = [
        Item(shape.format(one=one, many=many), target.format())
        for shape, target in _SYNTAX
        for one, many in rng.sample(_ITEMS, 12)
    ]
    imports = [Item(f"from {module}", " import") for module in _MODULES]
    comments = [Item(f"import os\nimport sys\nfrom {module}", " import") for module in _MODULES]
    return distinct([*filled, *imports, *comments])


def further_syntax() -> list[Item]:
    """The same with further answers, which no other cut of a line has."""
    rng = Random(44)
    filled = [
        Item(shape.format(one=one, many=many), target)
        for shape, target in _FURTHER_SYNTAX
        for one, many in rng.sample(_ITEMS, 7)
    ]
    named = [
        Item(shape.format(one=one, many=many), f" {one}")
        for turn, (one, many) in enumerate(_ITEMS + _FURTHER_ITEMS)
        for shape in (_NAMED[turn % 2],)
    ]
    return distinct([*filled, *named])


def idioms() -> list[Item]:
    """Code that every reader of Python has seen, cut before its usual next word."""
    return _idioms(IDIOMS)


def further_idioms() -> list[Item]:
    """The same with other names in them."""
    return _idioms(FURTHER_IDIOMS)


def _idioms(rows: tuple[tuple[str, tuple[str, ...], str], ...]) -> list[Item]:
    return distinct(
        # `@` is the place to fill, since braces are Python's own.
        Item(shape.replace("@", filler), target.replace("@", filler), source=shape)
        for shape, fillers, target in rows
        for filler in fillers
    )


def semantics() -> list[Item]:
    """What a short program prints, and which method has the stated effect."""
    return distinct([*snippets(Random(42)), *_methods()])


def further_semantics() -> list[Item]:
    """What other short programs print."""
    return distinct(snippets(Random(43)))


def _methods() -> Iterator[Item]:
    for effect, call, method in METHODS:
        yield Item(f"# {sentence(effect)}.\n{call}.", method, source=effect)
        yield Item(f"To {effect}, write {call}.", method, source=effect)
