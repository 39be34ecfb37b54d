"""Logic items: modus ponens, syllogisms, and negation with several steps.

The answer is a word for a thing, a person or a property, never yes or no. Rules with the same
subject stand side by side, so that the answer cannot be had by copying the last word of the text.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from random import Random

from .item import Item, distinct, sentence
from .logic_facts import CHAINS, DISPUTES, KINDS, NAMES, ORDERINGS, PETS, RULES

_PONENS_TEMPLATES = (
    "If {if1}, {stem} {then1}. {If1}. Therefore {stem}",
    "{Stem} {then2} if {if2}. {Stem} {then1} if {if1}. This time {if1}. So {stem}",
    "If {if1}, {stem} {then1}. If {if2}, {stem} {then2}. {If1}. It follows that {stem}",
    "Rule: when {if1}, {stem} {then1}. Rule: when {if2}, {stem} {then2}. "
    "Fact: {if1}. Conclusion: {stem}",
)

_FURTHER_PONENS_TEMPLATES = (
    "If {if1}, {stem} {then1}. {If1}. So {stem}",
    "{Stem} {then1} if {if1}. {Stem} {then2} if {if2}. This time {if1}. Therefore {stem}",
    "If {if2}, {stem} {then2}. If {if1}, {stem} {then1}. {If1}. It follows that {stem}",
    "Rule: when {if2}, {stem} {then2}. Rule: when {if1}, {stem} {then1}. "
    "Fact: {if1}. Conclusion: {stem}",
)

_SYLLOGISM_TEMPLATES = (
    "All {subs} are {kinds}. {Name} is {a_sub}. Therefore {name} is {a}",
    "Every {sub} is {a} {kind}, and {name} is {a_sub}. It follows that {name} is {a}",
    "Premise: {name} is {a_sub}. Premise: all {subs} are {kinds}. Conclusion: {name} is {a}",
)

_FEATURE_TEMPLATES = (
    "All {kinds} {verb} {feature}. All {subs} are {kinds}. Therefore all {subs} {verb}",
    "{Subs} are {kinds}, and {kinds} always {verb} {feature}. So {subs} always {verb}",
    "Premise: all {subs} are {kinds}. Premise: all {kinds} {verb} {feature}. "
    "Conclusion: all {subs} {verb}",
)

_FURTHER_FEATURE_TEMPLATES = (
    "All {subs} are {kinds}. All {kinds} {verb} {feature}. Therefore all {subs} {verb}",
    "{Kinds} always {verb} {feature}, and {subs} are {kinds}. So {subs} always {verb}",
    "Premise: all {kinds} {verb} {feature}. Premise: all {subs} are {kinds}. "
    "Conclusion: all {subs} {verb}",
)

_ELIMINATION_TEMPLATES = (
    "{Claim} {choice}. We know that neither {no1} nor {no2} is right. So {claim}",
    "Three guesses were made: {claim} {choice}. The guess '{no1}' was wrong, and so was the guess "
    "'{no2}'. One guess was right, so {claim}",
)

_WHO = {
    "person": [*NAMES, "my neighbor", "the man in the hall", "her cousin"],
    "animal": [*PETS, "this creature", "the one in the cage", "his favorite"],
    "thing": ["this", "that", "the gift", "the one on the left", "the object", "the new one",
              "the first one", "the one we saw"],
}  # fmt: skip


def modus_ponens() -> list[Item]:
    """A rule, its condition, and the word that the rule then gives."""
    return _ponens_in(_PONENS_TEMPLATES)


def further_modus_ponens() -> list[Item]:
    """The same rules in other wordings."""
    return _ponens_in(_FURTHER_PONENS_TEMPLATES)


def _ponens_in(templates: tuple[str, ...]) -> list[Item]:
    items: list[Item] = []
    for stem, (if1, then1), (if2, then2) in RULES:
        for first, second in (((if1, then1), (if2, then2)), ((if2, then2), (if1, then1))):
            items.extend(_ponens(templates, stem, first, second))
    return distinct(items)


def _ponens(
    templates: tuple[str, ...], stem: str, holds: tuple[str, str], other: tuple[str, str]
) -> Iterator[Item]:
    for template in templates:
        prompt = template.format(
            stem=stem, Stem=sentence(stem), If1=sentence(holds[0]),
            if1=holds[0], then1=holds[1], if2=other[0], then2=other[1],
        )  # fmt: skip
        yield Item(prompt, f" {holds[1]}", stem)


def syllogisms() -> list[Item]:
    """Two premises about kinds of things; the answer is the kind or what the kind has."""
    rng = Random(21)
    return distinct(
        item for kind in KINDS for item in _syllogisms_about(kind, rng, _FEATURE_TEMPLATES)
    )


def further_syllogisms() -> list[Item]:
    """The same about others, and what the kind has in other wordings."""
    rng = Random(27)
    return distinct(
        item for kind in KINDS for item in _syllogisms_about(kind, rng, _FURTHER_FEATURE_TEMPLATES)
    )


def _syllogisms_about(
    row: tuple[str, ...], rng: Random, feature_templates: tuple[str, ...]
) -> Iterator[Item]:
    sub, subs, kind, kinds, verb, feature, who = row
    fields = {
        "sub": sub, "subs": subs, "kind": kind, "kinds": kinds, "Subs": sentence(subs),
        "Kinds": sentence(kinds), "verb": verb, "feature": feature,
        "a_sub": f"{_article(sub)} {sub}", "a": _article(kind),
    }  # fmt: skip
    for template in _SYLLOGISM_TEMPLATES:
        for name in rng.sample(_WHO[who], 2):
            prompt = template.format(name=name, Name=sentence(name), **fields)
            yield Item(prompt, f" {kind}", sub)
    for template in feature_templates:
        yield Item(template.format(**fields), f" {feature}", sub)


def negation_and_steps() -> list[Item]:
    """Elimination, modus tollens, orderings and chains of rules, with distractors."""
    return distinct(
        [*_eliminations(Random(22)), *_tollens(Random(23)), *_orderings(Random(24)), *_chains()]
    )


def further_negation_and_steps() -> list[Item]:
    """The same disputes, rules and orderings in other orders and of other people."""
    return distinct([*_eliminations(Random(28)), *_tollens(Random(30)), *_orderings(Random(29))])


def _eliminations(rng: Random) -> Iterator[Item]:
    for subject, options in DISPUTES:
        for answer in options:
            out = [option for option in options if option != answer]
            rng.shuffle(out)
            listed = list(options)
            rng.shuffle(listed)
            choice = f"{', '.join(listed[:-1])} or {listed[-1]}"
            for template in _ELIMINATION_TEMPLATES:
                prompt = template.format(
                    claim=subject, Claim=sentence(subject), choice=choice, no1=out[0], no2=out[1]
                )
                yield Item(prompt, f" {answer}", subject)


def _tollens(rng: Random) -> Iterator[Item]:
    for stem, (if1, then1), (if2, then2) in RULES:
        if rng.random() < 0.5:
            if1, then1, if2, then2 = if2, then2, if1, then1
        yield Item(
            f"Either {if1} or {if2}. If {if1}, {stem} {then1}. If {if2}, {stem} {then2}. "
            f"It is not true that {if1}. So {stem}",
            f" {then2}",
            stem,
        )


def _orderings(rng: Random) -> Iterator[Item]:
    triples = list(permutations(NAMES, 3))
    for more, less, most, least in ORDERINGS:
        for high, middle, low in rng.sample(triples, 8):
            yield Item(
                f"{high} is {more} than {middle}. {low} is not {more} than {middle}, and no two "
                f"are alike. Of the three, the {most} is",
                f" {high}",
            )
        for high, middle, low in rng.sample(triples, 8):
            yield Item(
                f"{low} is {less} than {middle}. {high} is {more} than {middle}. "
                f"Of the three, the {least} is",
                f" {low}",
            )


def _chains() -> Iterator[Item]:
    for first, second, third, stem, answer in CHAINS:
        rules = f"If {first}, {second}. If {second}, {third}. If {third}, {stem} {answer}."
        yield Item(f"{rules} {sentence(first)}. Therefore {stem}", f" {answer}", first)
        yield Item(
            f"If {third}, {stem} {answer}. If {second}, {third}. If {first}, {second}. "
            f"It is known that {first}. In the end, {stem}",
            f" {answer}",
            first,
        )


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"
