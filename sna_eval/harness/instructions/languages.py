"""Which of a few languages a text is in: by its script, or by the commonest words.

Enough to tell an answer in the language that was asked for from one in English; no identification
of languages in general.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


COMMON_WORDS: Mapping[str, frozenset[str]] = {
    "English": _words(
        """the of and to in is that it for was on are with as they at be this from have or by one
        had not but what all were when we there can an your which their"""
    ),
    "French": _words(
        """le la les de des du et est un une dans que qui pour pas sur avec ce il elle sont au aux
        se plus par nous vous ne être ont cette leur comme mais ou"""
    ),
    "German": _words(
        """der die das und ist ein eine in den von zu mit nicht auf für im dem des sich auch es
        wird werden sie wir ich aus bei nach oder als wie einen einem sind man"""
    ),
    "Spanish": _words(
        """el la los las de del y es un una en que por para con no se su al lo como más son pero
        sus le ha este esta entre cuando muy sin sobre también"""
    ),
    "Italian": _words(
        """il lo la i gli le di del della e è un una in che per con non si su al da sono come più
        ma anche nel alla questo questa dei delle o"""
    ),
}
SCRIPTS: Mapping[str, tuple[str, ...]] = {
    "Russian": ("CYRILLIC",),
    "Greek": ("GREEK",),
    "Japanese": ("HIRAGANA", "KATAKANA", "CJK"),
}
"""The beginnings of the Unicode names of their letters."""
_SHARE_OF_LETTERS = 0.8
_FEWEST = 3
"""Common words that a text must have before anything is said of it."""


def is_in_language(text: str, language: str) -> bool:
    """Whether a text is in a language, by its English name."""
    if language in SCRIPTS:
        letters = [unicodedata.name(one, "") for one in text if one.isalpha()]
        of_script = [name for name in letters if name.startswith(SCRIPTS[language])]
        return len(of_script) > _SHARE_OF_LETTERS * len(letters)
    words = re.findall(r"[^\W\d_]+", text.lower())
    counts = {name: sum(word in common for word in words) for name, common in COMMON_WORDS.items()}
    best = max(counts.values())
    return best >= _FEWEST and [name for name in counts if counts[name] == best] == [language]
