"""`process_results` of instructions: which were followed, and what the texts are like beside that.

Amplification that only makes a text repeat itself, or run on, shows in `repetition` and `words`,
and how far it takes the model from itself in `kl_from_baseline`. Each of the others stands twice in
a run under `sna`: of the amplified texts and, as `baseline_...`, of the unmodified model's.
"""

from __future__ import annotations

from collections.abc import Sequence

from sna_eval.harness.instructions.rules import Requirement, is_followed, words_of
from sna_eval.harness.values import GeneratedText
from sna_eval.typed import Json

KINDS = ("format", "length", "language", "refusal")
_GRAM = 4


def instruction_results(doc: Json, results: Sequence[str]) -> dict[str, float | None]:
    """Metrics of one text. Those of a kind are `None` for instructions of another.

    `repetition` is `1 - distinct / all` of the text's sequences of four words (Welleck et al. 2020,
    seq-rep-4), and 0 for a text that has none. `kl_from_baseline` is the mean divergence of the
    next token along an amplified text, in nats: 0 for the unmodified model's, `None` where nobody
    measured it.
    """
    (text,) = results
    asked = Requirement(doc["rule"], int(doc["number"]), doc["word"])
    followed = float(is_followed(text, asked))
    words = words_of(text)
    return {
        "followed": followed,
        **{f"followed_{kind}": followed if doc["kind"] == kind else None for kind in KINDS},
        "repetition": _repetition(words),
        "words": float(len(words)),
        "kl_from_baseline": text.kl if isinstance(text, GeneratedText) else 0.0,
    }


def _repetition(words: Sequence[str]) -> float:
    grams = [tuple(words[n : n + _GRAM]) for n in range(len(words) - _GRAM + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0
