"""How often each kind of text occurs in training: the knobs of the experiment, in one place.

Natural text is given as a share of the training tokens. Each bundled task's skill is given as a
rate: documents per million training tokens. How often a skill was exercised is what should decide
the zone in which the finished model finds its task, so the rates are spread on purpose.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from .errors import UserInputError

TEXT_SHARES: dict[str, float] = {
    "wikitext": 0.14,
    "shakespeare": 0.06,
    "gsm8k": 0.08,
    "python": 0.07,
}
"""Share of the training tokens by natural-text domain."""

REVIEW_SHARE = 0.34
"""Share of the training tokens that are labelled reviews."""


@dataclass(frozen=True)
class Skill:
    """How one task's items are exercised."""

    rate: float
    """Documents per million training tokens."""
    held_out: bool
    """True: the task's development and test items never occur; the skill has to generalise."""


SKILLS: dict[str, Skill] = {
    "math_easy": Skill(rate=2500, held_out=True),
    "math_medium": Skill(rate=500, held_out=True),
    "math_hard": Skill(rate=200, held_out=True),
    "poetry_easy": Skill(rate=1200, held_out=False),
    "poetry_medium": Skill(rate=600, held_out=False),
    "poetry_hard": Skill(rate=30, held_out=True),
    "coding_easy": Skill(rate=1600, held_out=True),
    "coding_medium": Skill(rate=300, held_out=False),
    "coding_hard": Skill(rate=300, held_out=True),
    "logic_easy": Skill(rate=1200, held_out=True),
    "logic_medium": Skill(rate=400, held_out=True),
    "logic_hard": Skill(rate=100, held_out=True),
    "transition": Skill(rate=4000, held_out=False),
}

DOMAIN_OF_SKILL = {"math": "arithmetic", "logic": "logic", "poetry": "poetry", "coding": "code"}
"""First word of a task's name -> the domain under which its held-out loss is reported."""


def skills_with(overrides: Iterable[str]) -> dict[str, Skill]:
    """The table above with `name=rate` overrides from the command line."""
    skills = dict(SKILLS)
    for override in overrides:
        name, _, value = override.partition("=")
        if name not in skills:
            raise UserInputError(
                f"--rate: expected one of {', '.join(skills)} before '=', got {override!r}"
            )
        skills[name] = replace(skills[name], rate=_rate(override, value))
    return skills


def _rate(override: str, value: str) -> float:
    try:
        rate = float(value)
    except ValueError:
        rate = -1.0
    if not 0 <= rate < float("inf"):
        raise UserInputError(
            f"--rate: expected documents per million tokens after '=' (0 or more), got {override!r}"
        )
    return rate
