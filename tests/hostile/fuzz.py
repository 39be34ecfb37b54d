"""Damaged and malicious files, made from valid ones: the same case for the same number, always.

A case is what a loader is given. Mutators work on bytes (cut, flipped, spliced) and on values
(other types, huge numbers, missing keys, paths that lead elsewhere). `broken` runs cases through a
loader and collects those that ended in anything but success or an `InputError`.
"""

from __future__ import annotations

import json
import random
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import yaml

from sna_eval.errors import InputError

Write = Callable[[Any], "str | bytes"]
HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, -1, 2**31, 10**30, 10**400, 1e308, -1e308, 5e-324, float("nan"),
    float("inf"), "", " ", "\u202e", "\ud83e\udde0", "\ud83e", "a\u0000b", "../../../../etc/passwd",
    "/etc/passwd", "..", "~root", "x" * 5000, "1e999", "always", "gold", "*", "[", "!!int a",
    [], {}, [[]], [None], {"": None}, {"a": {"a": {"a": {}}}}, [[[[[[[[1]]]]]]]], [float("nan")],
    {"__class__": "x"}, list(range(300)),
)  # fmt: skip
"""Values that appear in the place of others."""
_SPLICES: tuple[bytes, ...] = (
    b"", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"[" * 3000, b"{" * 3000, b"9" * 5000, b"-" * 300,
    b"1e999", b"NaN", b"-Infinity", b"null", b"\n", b"\t", b"'", b'"', b"&a [*a, *a]", b"*a",
    b"!!python/object/apply:os.system ['true']", b"2020-13-45", b"1:99:99", b"0o9",
    b"? [a, b]\n: c", b"<<: *b", b"\xf0\x9f\xa7\xa0", b"\xc3\x28", b"---\n", b"%TAG ! x\n",
    b"2020-12-31", b"0x" + b"F" * 5000, b"1" + b":59" * 3000, b"!!set {a}", b"!!binary aGk=",
    b"&m {<<: *m}", b"!!int ''", b"!!bool x", b"!!timestamp x", b"!!omap [a]", b"!!map [a]",
    b"\xe2\x80\xa8", b"\xc2\x85", b"\r",
)  # fmt: skip


@dataclass(frozen=True)
class Seed:
    """A valid file."""

    content: bytes
    values: Any = None
    """What it says; `None` where only bytes are changed."""
    write: Write = json.dumps
    """Turns values into the file's content."""

    @classmethod
    def json(cls, values: Any) -> Seed:
        return cls(json.dumps(values).encode(), values)

    @classmethod
    def yaml(cls, values: Any) -> Seed:
        return cls(_as_yaml(values).encode(), values, _as_yaml)


@dataclass(frozen=True)
class Failure:
    """A case that ended as none may."""

    number: int
    error: BaseException
    content: bytes

    @property
    def place(self) -> str:
        """Where it was raised: failures of one place are one bug."""
        frame = traceback.extract_tb(self.error.__traceback__)[-1]
        return f"{type(self.error).__name__} in {frame.name} ({frame.filename}:{frame.lineno})"

    def __str__(self) -> str:
        return f"case {self.number}: {self.place}: {self.error}: {self.content[:200]!r}"


def case(seeds: Sequence[Seed], number: int) -> bytes:
    """The file of one case."""
    chance = random.Random(number)
    seed = seeds[chance.randrange(len(seeds))]
    content = seed.content
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        if seed.values is not None and chance.random() < 0.6:
            values = _changed(seed.values, chance)
            written = seed.write(values)
            content = (
                written if isinstance(written, bytes) else written.encode("utf-8", "surrogatepass")
            )
            seed = Seed(content, values, seed.write)
        else:
            content = _damaged(content, chance)
            seed = Seed(content)
    return content


def broken(load: Callable[[bytes], Any], cases: Iterator[tuple[int, bytes]]) -> list[Failure]:
    """Cases that ended in anything but success or an `InputError` of one line."""
    failures = []
    for number, content in cases:
        try:
            with at_most(SECONDS):
                load(content)
        except InputError as refused:
            if len(str(refused)) > _LONGEST:
                failures.append(Failure(number, refused, content))
        except Exception as error:
            failures.append(Failure(number, error, content))
    return failures


_LONGEST = 20_000
"""Characters of a message at most."""
SECONDS = 10
"""A case that takes longer counts as a failure."""


class Endless(Exception):
    """A case took too long."""


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """Raises `Endless` in the body when its time is over."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise Endless

    previous = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


def numbered(seeds: Sequence[Seed], count: int) -> Iterator[tuple[int, bytes]]:
    """The first `count` cases."""
    return ((number, case(seeds, number)) for number in range(count))


def bugs(failures: Sequence[Failure]) -> dict[str, Failure]:
    """One failure of each place."""
    return {failure.place: failure for failure in reversed(failures)}


def _as_yaml(values: Any) -> str:
    return str(yaml.safe_dump(values, allow_unicode=True))


def _damaged(content: bytes, chance: random.Random) -> bytes:
    """One change of bytes."""
    place = chance.randrange(len(content) + 1)
    kind = chance.randrange(5)
    if kind == 0:
        return content[:place]
    if kind == 1:
        return content[:place] + chance.choice(_SPLICES) + content[place:]
    length = chance.choice((1, 1, 4, 50))
    if kind == 2:
        return content[:place] + content[place + length :]
    if kind == 3:
        return content[: place + length] + content[place:]
    return content[:place] + chance.randbytes(length) + content[place + length :]


def _changed(values: Any, chance: random.Random) -> Any:
    """A copy with one value, anywhere in it, replaced, removed, renamed or added."""
    here = not isinstance(values, (dict, list)) or not values or chance.random() < 0.1
    if here:
        return chance.choice(HOSTILE)
    if isinstance(values, list):
        place = chance.randrange(len(values))
        return [_changed(value, chance) if n == place else value for n, value in enumerate(values)]
    key = chance.choice(list(values))
    kind = chance.randrange(8)
    if kind == 0:
        return {one: entry for one, entry in values.items() if one != key}
    if kind == 1:
        name = chance.choice(("", "x", "..", "\u202e", "a/b", "100"))
        return {name if one == key else one: entry for one, entry in values.items()}
    return {one: _changed(entry, chance) if one == key else entry for one, entry in values.items()}
