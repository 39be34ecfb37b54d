"""Poetry items: rhyme completion, simile completion, metaphor and abstraction.

The lines stand in `couplets.py` and `figures.py`; here they are laid out as prompts. Whether two
words rhyme is the author's word and is not computed.
"""

from __future__ import annotations

from collections.abc import Iterator

from .couplets import COUPLETS, RIDDLES
from .figures import METAPHORS, PROPORTIONS, SIMILES
from .item import Item, distinct, sentence

_RIDDLE_TEMPLATES = (
    "It rhymes with {rhyme} and it is {clue}: the word is",
    "Which word means {clue} and rhymes with {rhyme}? It is",
)

_SIMILE_TEMPLATES = (
    "{Subject} as {quality} as{thing}",
    "Everyone agreed that {subject} as {quality} as{thing}",
    "The poet wrote that {subject} as {quality} as{thing}",
    "In the old story {subject} as {quality} as{thing}",
)

_METAPHOR_TEMPLATES = (
    "{Topic} {does}; {topic} is{thing}",
    "Because {topic} {does}, the poet calls {topic}{thing}",
    "In the poem, {topic} {does}, and so {topic} becomes{thing}",
    "What {does}? To the poet, {topic} is{thing}",
)

_FURTHER_METAPHOR_TEMPLATES = (
    "{Topic} {does}. The poet's name for {topic} is{thing}",
    "If {topic} {does}, then {topic} is{thing}",
)

_PROPORTION_TEMPLATES = (
    "{a} is to {b} as {c} is to{d}",
    "What {a} is to {b}, {c} is to{d}",
)

_FURTHER_PROPORTION_TEMPLATES = ("The poet wrote that {a} is to {b} as {c} is to{d}",)


def rhymes() -> list[Item]:
    """Couplets without their last word, on two lines or one, and rhyming riddles."""
    items = []
    for first, second, word in COUPLETS:
        items.append(Item(f"{first},\n{second}", f" {word}", first))
        items.append(Item(f"A rhyme: {first} / {second}", f" {word}", first))
    for rhyme, clue, word in RIDDLES:
        for template in _RIDDLE_TEMPLATES:
            items.append(Item(template.format(rhyme=rhyme, clue=clue), f" {word}", clue))
    return distinct(items)


def similes() -> list[Item]:
    """A subject, a quality, and the thing that is proverbial for it."""
    return distinct(
        Item(
            template.format(
                subject=subject, Subject=sentence(subject), quality=quality, thing=_before(article)
            ),
            f" {thing}",
            subject,
        )
        for subject, quality, article, thing in SIMILES
        for template in _SIMILE_TEMPLATES
    )


def metaphors() -> list[Item]:
    """What an abstract thing does, and the image that does the same; also proportions."""
    return distinct([*_images(_METAPHOR_TEMPLATES), *_proportions(_PROPORTION_TEMPLATES)])


def further_metaphors() -> list[Item]:
    """The same in other wordings."""
    return distinct(
        [*_images(_FURTHER_METAPHOR_TEMPLATES), *_proportions(_FURTHER_PROPORTION_TEMPLATES)]
    )


def _images(templates: tuple[str, ...]) -> Iterator[Item]:
    for topic, does, article, thing in METAPHORS:
        for template in templates:
            prompt = template.format(
                topic=topic, Topic=sentence(topic), does=does, thing=_before(article)
            )
            yield Item(prompt, f" {thing}", topic)


def _proportions(templates: tuple[str, ...]) -> Iterator[Item]:
    for a, b, c, d in PROPORTIONS:
        *article, word = d.split()
        for template in templates:
            prompt = template.format(a=a, b=b, c=c, d=_before(" ".join(article)))
            yield Item(sentence(prompt), f" {word}", f"{a}, {c}")


def _before(article: str) -> str:
    """The article with a space before it, or nothing where the noun takes none."""
    return f" {article}" if article else ""
