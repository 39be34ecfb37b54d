"""Pairs of prompts that differ in what is looked for: neurons are found by what tells them apart.

A file holds a pair a line, `{"positive": ..., "negative": ...}`, either prompt a text or a list of
chat messages. Texts are read as they are; messages go through the tokenizer's chat template, up to
where the answer begins.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sna_eval.errors import InputError, reading
from sna_eval.files import LARGEST_FILE, expanded, is_file, read_lines
from sna_eval.neurons.bench import Examples

SUFFIX = ".jsonl"
SIDES = ("positive", "negative")
Message = Mapping[str, str]
"""`role` and `content`."""
Prompt = str | tuple[Message, ...]
Chat = Callable[..., str]
"""From messages to the text that a model reads: `apply_chat_template` of lm_eval's models."""


@dataclass(frozen=True)
class Pair:
    """Two prompts."""

    positive: Prompt
    negative: Prompt


def read_pairs(path: str, *, field: str = "select.prompts") -> tuple[Pair, ...]:
    """The pairs of a file.

    **Raises:** `InputError`, with line and field, for what is no pair.
    """
    place = expanded(path)
    expected = 'a file of pairs, a line {"positive": ..., "negative": ...} for each'
    if not is_file(place):
        raise InputError(field, expected=expected, got=path, hint="check the path")
    with reading(field, expected=expected, got=path):
        lines = [
            (number, line) for number, line in read_lines(place, largest=LARGEST_FILE)
            if line.strip()
        ]  # fmt: skip
    pairs = tuple(_pair(line, f"{place.name}:{number}") for number, line in lines)
    if not pairs:
        raise InputError(field, expected=expected, got=f"{path}, empty")
    return pairs


def pair_examples(pairs: Sequence[Pair], chat: Chat | None) -> Examples:
    """Pairs as prompts of two kinds, the positive one of each before the negative one.

    **Arguments:**

    - `chat`: renders messages.

    **Raises:** `InputError` for messages where the tokenizer has no chat template.
    """
    prompts = [_text(prompt, chat) for pair in pairs for prompt in (pair.positive, pair.negative)]
    return Examples(tuple(prompts), (0, 1) * len(pairs), SIDES, paired=True)


def _text(prompt: Prompt, chat: Chat | None) -> str:
    if isinstance(prompt, str):
        return prompt
    try:
        if chat is not None:
            return chat([dict(message) for message in prompt])
    except ValueError as error:  # transformers', where a tokenizer has no template
        raise _no_template(str(error)) from error
    raise _no_template("none")


def _no_template(got: str) -> InputError:
    return InputError(
        "select.prompts", expected="a tokenizer with a chat template, for chat messages",
        got=got.split(".")[0][:120], hint="write the prompts as texts",
    )  # fmt: skip


def _pair(line: bytes, where: str) -> Pair:
    with reading(where, expected='{"positive": ..., "negative": ...}', got=_start(line)):
        raw = json.loads(line)
    if not isinstance(raw, dict):
        raise InputError(where, expected='{"positive": ..., "negative": ...}', got=_start(line))
    for key in raw:
        if key not in SIDES:
            raise InputError(f"{where}.{key}", expected="one of positive, negative", got=key)
    positive, negative = (_prompt(raw.get(side), f"{where}.{side}") for side in SIDES)
    return Pair(positive, negative)


def _start(line: bytes) -> str:
    return line[:60].decode("utf-8", "replace").strip()


def _prompt(value: Any, where: str) -> Prompt:
    if isinstance(value, str) and value.strip():
        return value
    if not isinstance(value, list) or not value:
        raise InputError(where, expected="a text, or a list of chat messages", got=value)
    return tuple(_message(one, f"{where}[{number}]") for number, one in enumerate(value))


def _message(value: Any, where: str) -> Message:
    if not isinstance(value, dict) or value.keys() != {"role", "content"}:
        raise InputError(where, expected='{"role": ..., "content": ...}', got=value)
    for key, text in value.items():
        if not isinstance(text, str) or not (text.strip() or key == "content"):
            raise InputError(f"{where}.{key}", expected="a text", got=text)
    return value
