"""Check that targets are one token of the GPT-2 tokenizer, alone and after their prompt."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tokenizers import ByteLevelBPETokenizer

from .item import Item


def load_tokenizer(folder: Path) -> ByteLevelBPETokenizer:
    """The byte-level BPE whose `vocab.json` and `merges.txt` lie in `folder`."""
    vocab, merges = folder / "vocab.json", folder / "merges.txt"
    for path in (vocab, merges):
        if not path.is_file():
            raise FileNotFoundError(
                f"tokenizer: expected {path.name} in {folder}, found none; "
                f"name a folder with GPT-2's vocab.json and merges.txt"
            )
    return ByteLevelBPETokenizer(str(vocab), str(merges))


def not_one_token(tokenizer: ByteLevelBPETokenizer, items: Iterable[Item]) -> list[Item]:
    """The items whose target is not one token, or changes the tokens of the prompt before it."""
    return [item for item in items if not _is_one_token(tokenizer, item)]


def _is_one_token(tokenizer: ByteLevelBPETokenizer, item: Item) -> bool:
    prompt, target, whole = (
        tokenizer.encode(text).ids for text in (item.prompt, item.target, item.prompt + item.target)
    )
    return len(target) == 1 and whole == prompt + target
