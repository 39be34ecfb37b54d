"""Right answers, asked on their own prompts and on some other prompts of the task.

What an intervention adds to an answer everywhere is a shift of answers, not knowledge (Zhao et al.
2021, arXiv:2102.09690; Holtzman et al. 2021, arXiv:2104.08315). So every answer is asked on its own
prompt and on other prompts, whose right answer is another one; what it gains on its own beyond the
mean of what it gains there is the *specific part*. An answer's tokens are those it has behind its
own prompt. A prompt with further one-token answers is still one row of the model.

Log-odds are against everything else the model might say, `log P - log(1 - P)`; of an item with
choices, against its other choices. `P` counts up to 1 - 1e-6: beyond, float32 keeps too few digits
of what is left of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sna_eval.harness.tasks.items import Item
from sna_eval.intervention import Row
from sna_eval.intervention.rows import Tokens, shared_rows
from sna_eval.measuring.items import ItemRow, TaskItems
from sna_eval.measuring.values import Floats

OTHERS = 2
"""Other prompts that each answer is asked on, at most."""
_SURE = 1e-6  # what is left of a probability that float32 still tells from 1


@dataclass(frozen=True, eq=False)
class PromptChoices:
    """One item's choices on one prompt: numbers of the requests."""

    choices: tuple[int, ...]
    right: int
    """Place of the right answer among the choices."""


@dataclass(frozen=True, eq=False)
class Answers:
    """All right answers of some items, and where they are asked."""

    items: TaskItems
    rows: tuple[ItemRow, ...]
    """Longest first; `item` counts prompts, `requests` count through the field of this name."""
    requests: tuple[tuple[Tokens, Tokens], ...]
    """Context and continuation, each pair once."""
    on_own_prompt: tuple[PromptChoices, ...]
    """Every item on its own prompt."""
    others: tuple[tuple[PromptChoices, ...], ...]
    """And on others; none where the task has no other answer, or the choices make up the prompt."""

    @cached_property
    def right(self) -> tuple[int, ...]:
        """The request that is each item's right answer on its own prompt, `[item]`."""
        return tuple(asked.choices[asked.right] for asked in self.on_own_prompt)

    @property
    def n_others(self) -> int:
        """Pairs of an answer and another prompt."""
        return sum(map(len, self.others))

    def log_odds(self, log_likelihoods: Floats) -> Floats:
        """Of every item on its own prompt, `[..., item]`.

        **Arguments:**

        - `log_likelihoods`: `[..., request]`.
        """
        return np.stack(
            [asked_log_odds(asked, log_likelihoods) for asked in self.on_own_prompt], axis=-1
        )

    def specific(self, changed: Floats, baseline: Floats) -> Floats:
        """Specific part of the change in log-odds, `[..., item]`.

        **Arguments:**

        - `changed`, `baseline`: log-likelihoods, `[..., request]` and `[request]`.
        """
        moved = self.log_odds(changed) - self.log_odds(baseline)
        return np.asarray(moved - self.shift(changed, baseline))

    def shift(self, changed: Floats, baseline: Floats) -> Floats:
        """Mean change of each answer's log-odds on other prompts, 0 where there are none,
        `[..., item]`."""
        return np.stack(
            [
                np.mean(
                    [asked_log_odds(one, changed) - asked_log_odds(one, baseline) for one in asked],
                    axis=0,
                )
                if asked
                else np.zeros(changed.shape[:-1])
                for asked in self.others
            ],
            axis=-1,
        )

    def slopes(self, baseline: Floats, weights: Floats) -> Floats:
        """Derivative of the weighted mean specific part by each request's log-likelihood,
        `[request]`.

        **Arguments:**

        - `baseline`: log-likelihoods, `[request]`.
        - `weights`: of items, `[item]`; the mean is over all of them.
        """
        found = np.zeros(len(self.requests))
        for number, weight in enumerate(weights / len(weights)):
            _add_slopes(found, self.on_own_prompt[number], baseline, weight)
            for asked in self.others[number]:
                _add_slopes(found, asked, baseline, -weight / len(self.others[number]))
        return found


def asked_log_odds(asked: PromptChoices, log_likelihoods: Floats) -> Floats:
    """Log-odds of a right answer, `[...]`, from log-likelihoods, `[..., request]`."""
    right = log_likelihoods[..., asked.choices[asked.right]]
    if len(asked.choices) == 1:
        clipped = np.minimum(right, np.log1p(-_SURE))
        return np.asarray(clipped - np.log(-np.expm1(clipped)))
    others = [number for place, number in enumerate(asked.choices) if place != asked.right]
    rivals = np.logaddexp.reduce(log_likelihoods[..., others], axis=-1)
    return np.asarray(right - rivals)


def ask_answers(
    items: TaskItems, *, max_length: int, packs: bool, others: int = OTHERS, seed: int = 0
) -> Answers:
    """Where every right answer is asked.

    **Arguments:**

    - `max_length`: tokens the model reads at most; longer contexts lose their beginning.
    - `packs`: whether several long continuations may share a row.
    - `others`: other prompts for each answer at most; drawn by `seed` among those whose right
        answer is another one.
    """
    table = _Requests(max_length)
    asked = [
        table.on_own_prompt(item, gold) for item, gold in zip(items.items, items.gold, strict=True)
    ]
    foreign = [
        tuple(table.on_prompt_of(items, number, prompt) for prompt in prompts)
        for number, prompts in enumerate(_other_prompts(items, others, seed))
    ]
    rows = sorted(table.rows(packs=packs), key=lambda entry: -len(entry.row))
    return Answers(items, tuple(rows), tuple(table.numbers), tuple(asked), tuple(foreign))


def prompt_rows(answers: Answers) -> list[ItemRow]:
    """Every item's prompt alone, with its answer's first token as only branch; longest first."""
    rows = []
    for number, request in enumerate(answers.right):
        context, continuation = answers.requests[request]
        rows.append(ItemRow(Row(context, (continuation[:1],)), number, (number,)))
    return sorted(rows, key=lambda entry: -len(entry.row))


def answer_texts(items: TaskItems) -> list[str]:
    """The right answer of every item, stripped of spaces: items that share it are alike."""
    return [item.requests[gold].label for item, gold in zip(items.items, items.gold, strict=True)]


class _Requests:
    """Requests as they are asked for, each once."""

    def __init__(self, max_length: int) -> None:
        self.numbers: dict[tuple[Tokens, Tokens], int] = {}
        self._max_length = max_length

    def on_own_prompt(self, item: Item, gold: int) -> PromptChoices:
        return PromptChoices(
            tuple(
                self._number(item.requests[n].context, item.requests[n].continuation)
                for n in item.choices
            ),
            item.choices.index(gold),
        )

    def on_prompt_of(self, items: TaskItems, item: int, prompt: int) -> PromptChoices:
        answered, context = items.items[item], _only_context(items.items[prompt])
        assert context is not None, "prompts with several contexts are nobody's other prompt"
        return PromptChoices(
            tuple(
                self._number(context, answered.requests[n].continuation) for n in answered.choices
            ),
            answered.choices.index(items.gold[item]),
        )

    def _number(self, context: Tokens, continuation: Tokens) -> int:
        room = max(1, self._max_length + 1 - len(continuation))
        key = (context[-room:], continuation)
        return self.numbers.setdefault(key, len(self.numbers))

    def rows(self, *, packs: bool) -> Iterator[ItemRow]:
        by_context: dict[Tokens, list[tuple[Tokens, int]]] = {}
        for (context, continuation), number in self.numbers.items():
            by_context.setdefault(context, []).append((continuation, number))
        for prompt, (context, asked) in enumerate(by_context.items()):
            groups = shared_rows(
                len(context), [len(continuation) for continuation, _ in asked], packs=packs
            )
            for group in filter(None, groups):
                row = Row(context, tuple(asked[place][0] for place in group))
                yield ItemRow(row, prompt, tuple(asked[place][1] for place in group))


def _other_prompts(items: TaskItems, count: int, seed: int) -> list[tuple[int, ...]]:
    """Items whose prompts each item's answer is asked on."""
    generator = np.random.default_rng([seed, len(items.items)])
    answers = answer_texts(items)
    usable = [_only_context(item) is not None for item in items.items]
    found = []
    for number, answer in enumerate(answers):
        open_to = [
            other
            for other in range(len(answers))
            if usable[number] and usable[other] and answers[other] != answer
        ]
        drawn = generator.permutation(len(open_to))[:count]
        found.append(tuple(open_to[place] for place in sorted(drawn)))
    return found


def _only_context(item: Item) -> Tokens | None:
    """The context that all choices of an item have; `None` where they differ."""
    contexts = {item.requests[number].context for number in item.choices}
    return contexts.pop() if len(contexts) == 1 else None


def _add_slopes(found: Floats, asked: PromptChoices, baseline: Floats, weight: float) -> None:
    right = asked.choices[asked.right]
    if len(asked.choices) == 1:
        left = max(-float(np.expm1(min(baseline[right], 0.0))), _SURE)
        found[right] += weight / left
        return
    others = [number for place, number in enumerate(asked.choices) if place != asked.right]
    rivals = np.exp(baseline[others] - np.logaddexp.reduce(baseline[others]))
    found[right] += weight
    np.add.at(found, others, -weight * rivals)
