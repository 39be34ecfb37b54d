"""Short hashes of plain values and of texts: what makes two results the same result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

DIGITS = 16
"""Hexadecimal digits of a hash: 64 bits, ample against chance collisions."""


def digest(value: Any) -> str:
    """Hash of plain JSON values."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:DIGITS]


def prompt_fingerprint(texts: Sequence[str]) -> str:
    """Hash of prompts, in order."""
    return digest(list(texts))
