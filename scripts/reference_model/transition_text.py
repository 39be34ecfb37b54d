"""Text for the transition items: their contexts, each followed by every one of its twelve answers.

A context is never tied to one answer: all twelve follow it equally often, so that a model can
learn no more than that each has one chance in twelve. Every second filler (name or place) is left
out, so half of the item candidates have a filler that never stands in their context in training.
Which answer a bundled item drew is not used here.
"""

from __future__ import annotations

from task_items.ambiguous import CONTEXTS, OPENINGS


def transition_texts() -> list[str]:
    """Every context and opening, with every second filler and every answer."""
    return [
        f"{opening}{context.format(x=filler)} {answer}"
        for context, fillers, answers in CONTEXTS
        for opening in OPENINGS
        for filler in fillers[::2]
        for answer in answers
    ]
