"""A base model and its adapters behind a server that speaks OpenAI's completions.

What is sent is what lm_eval's `local-completions` sends, under the base model's name or an
adapter's; with generated texts it asks for log-probabilities too. Where a server sends those of
tokens by name, continuations of one token share a request.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import torch

from sna_eval.cache import digest
from sna_eval.errors import InputError
from sna_eval.intervention.rows import Tokens
from sna_eval.serving.adapters import Adapters
from sna_eval.serving.address import ServedCard
from sna_eval.serving.answers import (
    read_completion,
    read_distribution,
    read_named,
    read_score,
    sends_named,
)
from sna_eval.serving.asking import Asking, Question
from sna_eval.serving.named_tokens import naming, sharing
from sna_eval.serving.served_model import Completion, Continuation, ContinuationScore, Prompt

_KEPT = "answer 2"  # raised where an answer's fields come to mean something else


@dataclass(frozen=True, eq=False)
class CompletionsModel:
    """A served model, asked through lm_eval's own payloads."""

    lm: Any
    """An lm_eval `LocalCompletionsAPI`: tokenizer, payloads, lengths."""
    asking: Asking
    adapters: Adapters
    cards: Mapping[str, ServedCard]
    """What the server says of its models."""

    @property
    def max_length(self) -> int:
        return int(self.lm.max_length)

    def at_the_same_time(self) -> CompletionsModel:
        """The same, asked for the base model and adapters without waiting for one to end."""
        return replace(self, asking=replace(self.asking, together=True))

    def scores(
        self, asked: Sequence[Continuation], *, quiet: bool = False
    ) -> list[ContinuationScore]:
        short = any(len(each.continuation) == 1 for each in asked)
        named = short and self._sends_named
        groups = sharing(asked) if named else [[number] for number in range(len(asked))]
        questions = [self._question([asked[number] for number in group], named) for group in groups]
        answers = self.asking.answers(questions, quiet=quiet)
        found = {
            number: score
            for group, answer in zip(groups, answers, strict=True)
            for number, score in zip(group, answer, strict=True)
        }
        return [found[number] for number in range(len(asked))]

    def completions(self, asked: Sequence[Prompt], *, quiet: bool = False) -> list[Completion]:
        return self.asking.answers([self._completion(prompt) for prompt in asked], quiet=quiet)

    def distributions(
        self, contexts: Sequence[Tokens], *, quiet: bool = False
    ) -> list[torch.Tensor]:
        """As the server sends them; they are large, and not kept."""
        questions = [
            Question(
                self._sent(context),
                {**_WHOLE, "model": self.lm.model},
                read=lambda choice: (read_distribution(choice),),
                rebuild=lambda *fields: fields,
            )
            for context in contexts
        ]
        try:
            return [answer[0] for answer in self.asking.answers(questions, quiet=quiet)]
        except InputError as error:
            raise InputError(
                "gate.signal", expected="a server that sends the next token's whole distribution",
                got=error.got, hint=f"vLLM: --max-logprobs -1; or use max_prob ({error.hint})",
            ) from error  # fmt: skip

    def tokens(self, prompt: Prompt) -> Tokens:
        settings = prompt.settings
        new = settings.get("max_tokens", settings.get("max_gen_toks", self.lm._max_gen_toks))
        tokens: list[int] = self.lm.tok_encode(prompt.text)
        return tuple(tokens[-max(1, self.max_length - int(new)) :])

    def windows(self, text: str) -> list[tuple[Tokens, Tokens]]:
        return rolling_windows(self.lm, text, self.max_length - 1)

    @cached_property
    def _sends_named(self) -> bool:
        """Whether the server sends the log-probabilities of tokens that are named: it is tried."""
        if not self.lm.tokenized_requests:  # nothing would say how a text was tokenized
            return False
        tokens = (0, 1)  # of which a server that does not know of names sends one at most
        payload = naming(self._payload(None, generate=False), tokens)
        trial = Question(
            [0],
            payload,
            read=lambda choice: (sends_named(choice, tokens),),
            rebuild=lambda sends: (sends,),
            key=self._key(None, payload, "trial"),
        )
        try:
            ((sends,),) = self.asking.answers([trial], quiet=True)
        except InputError:
            return False
        return sends

    def _question(self, asked: Sequence[Continuation], named: bool) -> Question[_Scores]:
        """For continuations that share a request."""
        if named and len(asked[0].continuation) == 1:
            return self._named(asked)
        (alone,) = asked
        return self._echoed(alone)

    def _named(self, asked: Sequence[Continuation]) -> Question[_Scores]:
        adapter, context = asked[0].adapter, asked[0].context
        tokens = [each.continuation[0] for each in asked]
        payload = naming(self._payload(adapter, generate=False), tokens)
        return Question(
            self._sent(context),
            payload,
            read=partial(read_named, tokens=tokens),
            rebuild=_rebuilt,
            key=self._key(adapter, payload, context),
        )

    def _echoed(self, asked: Continuation) -> Question[_Scores]:
        tokens = asked.context + asked.continuation
        payload = self._payload(asked.adapter, generate=False)
        return Question(
            self._sent(tokens),
            payload,
            read=partial(_score_of, asked),
            rebuild=_rebuilt,
            key=self._key(asked.adapter, payload, [tokens, len(asked.context)]),
        )

    def _completion(self, asked: Prompt) -> Question[Completion]:
        payload = self._payload(asked.adapter, generate=True, settings=asked.settings)
        prompt = list(self.tokens(asked)) if self.lm.tokenized_requests else asked.text
        drawn = payload.get("temperature", 0) or payload.get("n", 1) != 1
        return Question(
            prompt,
            {**payload, "logprobs": 1},
            read=read_completion,
            rebuild=Completion,
            key=None if drawn else self._key(asked.adapter, payload, prompt),
        )

    def _payload(
        self, adapter: str | None, *, generate: bool, settings: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """lm_eval's own, without a prompt."""
        payload: dict[str, Any] = self.lm._create_payload(
            [], generate=generate, gen_kwargs=copy.deepcopy(dict(settings or {})),
            seed=self.lm._seed, eos=self.lm.eos_string,
        )  # fmt: skip
        del payload["prompt"]
        return payload if adapter is None else {**payload, "model": adapter}

    def _sent(self, tokens: Tokens) -> Any:
        """As ids, or as text for servers that take no ids."""
        return list(tokens) if self.lm.tokenized_requests else self.lm.decode_batch([tokens])[0]

    def _key(self, adapter: str | None, payload: Mapping[str, Any], asked: Any) -> str:
        name = self.lm.model if adapter is None else adapter
        card = self.cards.get(name, ServedCard())
        does = None if adapter is None else self.adapters.digest_of(adapter)
        return digest([_KEPT, self.asking.address.url, name, card.root, does, payload, asked])


_WHOLE = {"max_tokens": 1, "temperature": 0, "logprobs": -1, "return_tokens_as_token_ids": True}
"""What asks vLLM for the whole distribution of one token, each entry under its number."""


_Scores = tuple[ContinuationScore, ...]


def _score_of(asked: Continuation, choice: Mapping[str, Any]) -> _Scores:
    context = len(asked.context)
    return (read_score(choice, context, context + len(asked.continuation)),)


def _rebuilt(*scores: Sequence[Any]) -> _Scores:
    return tuple(ContinuationScore(*fields) for fields in scores)


def rolling_windows(lm: Any, text: str, most: int) -> list[tuple[Tokens, Tokens]]:
    """Contexts and continuations by which lm_eval scores a whole text.

    **Arguments:**

    - `most`: tokens of a window.
    """
    from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

    windows = get_rolling_token_windows(
        token_list=lm.tok_encode(text),
        prefix_token=lm.prefix_token_id,
        max_seq_len=most,
        context_len=1,
    )
    pairs = map(make_disjoint_window, windows)
    return [(tuple(context), tuple(continuation)) for context, continuation in pairs]
