"""Items by calibrated ambiguity, of which transition tasks are made: twelve equally right answers.

A model that knows the form of an answer but cannot know which one gives each of twelve about one
chance in twelve, 0.083, which lies between the zone boundaries 0.07 and 0.10. So every context here
admits exactly twelve answers (months, hours, colored things from a stated dozen), and the target is
drawn for it uniformly, by seed. One draw per prompt; no prompt has two targets.

Whether an item lies in the zone depends on the model; `sna-eval transition` measures that and keeps
those that do.
"""

from __future__ import annotations

from random import Random

from .item import Item, distinct

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_HOURS = (
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve",
)  # fmt: skip
_COLORS = (
    "red", "blue", "green", "yellow", "black", "white", "brown", "pink", "gray", "purple",
    "orange", "gold",
)  # fmt: skip
_NAMES = (
    "Anna", "Ben", "Carl", "Tom", "Mary", "John", "Paul", "Lucy", "Sam", "Kate", "Emma",
    "Jack", "Peter", "Sarah", "David", "Alice",
)  # fmt: skip
_PLACES = (
    "London", "Paris", "Rome", "Berlin", "Madrid", "Boston", "Chicago", "Vienna", "Dublin",
    "Oxford", "Tokyo", "Sydney",
)  # fmt: skip
_BOX = ", ".join(_COLORS[:-1]) + " or " + _COLORS[-1]
_CLOCK = ", ".join(_HOURS[:-1]) + " or " + _HOURS[-1]

# (context with one place to vary, its fillers, the twelve answers)
CONTEXTS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("The meeting in {x} was moved to the first week of", _PLACES, _MONTHS),
    ("{x} was born on the third day of", _NAMES, _MONTHS),
    ("The museum in {x} will open again at the beginning of", _PLACES, _MONTHS),
    ("{x} moved into the new house at the end of", _NAMES, _MONTHS),
    ("The treaty was signed in {x} in the middle of", _PLACES, _MONTHS),
    ("{x} will visit an old friend during the second week of", _NAMES, _MONTHS),
    ("The census in {x} was taken in the month of", _PLACES, _MONTHS),
    ("The court in {x} will hear the case early in", _PLACES, _MONTHS),
    ("Of the twelve months of the year {x} likes only one, and that is", _NAMES, _MONTHS),
    ("The clock on the tower in {x} had stopped exactly at", _PLACES, _HOURS),
    ("{x} turned the hand of the toy clock until it pointed to the number", _NAMES, _HOURS),
    (f"The clock face says {_CLOCK}. With closed eyes {{x}} put a finger on", _NAMES, _HOURS),
    ("The train from {x} comes in every hour, and we took the one at", _PLACES, _HOURS),
    ("{x} spun the wheel with twelve numbers, and it stopped at number", _NAMES, _HOURS),
    (f"The box holds twelve pencils: {_BOX}. Without looking, {{x}} took the one that was",
     _NAMES, _COLORS),
    (f"There are twelve doors: {_BOX}. In {{x}} the visitor opened the one that was",
     _PLACES, _COLORS),
    (f"Each card is {_BOX}. The card that {{x}} drew was", _NAMES, _COLORS),
    (f"The twelve flags are {_BOX}. The flag chosen for {{x}} is", _PLACES, _COLORS),
    ("On the ticket from {x} the month was printed as", _PLACES, _MONTHS),
    ("{x} put twelve slips with the months into a hat, and the slip that came out said",
     _NAMES, _MONTHS),
    ("The twelve months are written on a wheel. {x} spins it and it stops at",
     _NAMES, _MONTHS),
    ("The harbor in {x} was closed to ships from the first of", _PLACES, _MONTHS),
    ("{x} began the long walk around the lake on the tenth of", _NAMES, _MONTHS),
    ("The last letter from {x} is dated the fifth of", _PLACES, _MONTHS),
    ("{x} keeps twelve marbles, one of each color: " + _BOX + ". The one that rolled away is",
     _NAMES, _COLORS),
)  # fmt: skip


OPENINGS = ("", "It is said: ", "Note: ", "We heard this: ", "In the report: ", "By the way: ")


def ambiguous_items() -> list[Item]:
    """Every context with every filler, in six wordings with one drawn target each."""
    rng = Random(31)
    items = []
    for context, fillers, answers in CONTEXTS:
        for opening in OPENINGS:
            # Whole decks rather than single draws: each answer comes up about equally often.
            deck = rng.sample(answers, 12) + rng.sample(answers, 12)
            for filler, answer in zip(fillers, deck, strict=False):
                text = context.format(x=filler)
                items.append(Item(opening + text, f" {answer}", source=text))
    return distinct(items)
