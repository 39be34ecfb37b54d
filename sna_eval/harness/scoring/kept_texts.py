"""Passes whose texts are kept in the response cache: generated ones, and the scores of whole ones.

A text that is drawn at random is not kept: asked for again, it would be another one. What the
unmodified model says is kept apart from plans, and serves all of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, Literal, TypeVar

from sna_eval.cache import digest
from sna_eval.harness.scoring.passes import (
    Decide,
    DecideText,
    Generated,
    Passes,
    PlannedItem,
    Scores,
    Told,
    tell_nobody,
)
from sna_eval.harness.scoring.response_cache import ResponseCache
from sna_eval.intervention import Affine
from sna_eval.plan import TaskPlan
from sna_eval.typed import build, fitted

TextKind = Literal["generate_until", "loglikelihood_rolling"]
TextKey = Callable[[TextKind, Any, bool], Any]
"""Of a kind, a request, and whether its plan applies: what the answer depends on, as plain JSON."""
T = TypeVar("T")


class KeptTexts:
    """Answers from the cache where it has them, and from other passes where it has not.

    **Arguments:**

    - `together`: whole texts that are scored together, and lost together by a run that is killed;
        `None`: all of them.
    """

    def __init__(
        self, passes: Passes, cache: ResponseCache, key_of: TextKey, *, together: int | None
    ) -> None:
        self._passes, self._cache, self._key_of = passes, cache, key_of
        self._together = together

    def scores(
        self, asked: Sequence[PlannedItem], decide: Decide, *, quiet: bool = False
    ) -> Iterator[tuple[int, Scores]]:
        return self._passes.scores(asked, decide, quiet=quiet)

    def rolling(
        self, requests: Sequence[Any], interventions: tuple[Affine, ...] = (), *, quiet: bool
    ) -> list[float]:
        def run(some: Sequence[Any], told: Told[float]) -> list[float]:
            found: list[float] = []
            for start in range(0, len(some), self._together or len(some)):
                part = some[start:][: self._together]
                values = self._passes.rolling(part, interventions, quiet=quiet)
                for request, value in zip(part, values, strict=True):
                    told(request.args, value)
                found += values
            return found

        keys = [
            digest(self._key_of("loglikelihood_rolling", request, bool(interventions)))
            for request in requests
        ]
        return self._complete(requests, keys, run, float, lambda kept: fitted(float, kept, ""))

    def texts(
        self, requests: Sequence[Any], *, quiet: bool, told: Told[Generated] = tell_nobody
    ) -> list[str]:
        def run(some: Sequence[Any], told: Told[Generated]) -> list[Generated]:
            return list(map(Generated, self._passes.texts(some, quiet=quiet, told=told)))

        return [made.text for made in self._generated(requests, run, planned=False)]

    def gated_texts(
        self,
        requests: Sequence[Any],
        plan: TaskPlan,
        decide: DecideText,
        *,
        quiet: bool,
        told: Told[Generated] = tell_nobody,
    ) -> list[Generated]:
        def run(some: Sequence[Any], told: Told[Generated]) -> list[Generated]:
            return self._passes.gated_texts(some, plan, decide, quiet=quiet, told=told)

        return self._generated(requests, run, planned=True)

    def _generated(
        self,
        requests: Sequence[Any],
        run: Callable[[Sequence[Any], Told[Generated]], list[Generated]],
        *,
        planned: bool,
    ) -> list[Generated]:
        keys = [
            None if _is_drawn(request) else digest(self._key_of("generate_until", request, planned))
            for request in requests
        ]
        return self._complete(requests, keys, run, asdict, lambda kept: build(Generated, kept))

    def _complete(
        self,
        requests: Sequence[Any],
        keys: Sequence[str | None],
        run: Callable[[Sequence[Any], Told[T]], list[T]],
        dump: Callable[[T], Any],
        load: Callable[[Any], T],
    ) -> list[T]:
        """The answers to all requests; `run` answers those that are not kept yet."""
        known = [None if key is None else self._cache.read(key, load) for key in keys]
        missing = [number for number, made in enumerate(known) if made is None]
        if not missing:
            return [made for made in known if made is not None]
        by_arguments = {_name(requests[number].args): keys[number] for number in missing}
        with self._cache.keeping() as keep:

            def told(arguments: tuple[Any, ...], value: T) -> None:
                key = by_arguments[_name(arguments)]
                if key is not None:
                    keep(key, dump(value))

            fresh = iter(run([requests[number] for number in missing], told))
        return [next(fresh) if made is None else made for made in known]


def _is_drawn(request: Any) -> bool:
    """Whether a text may be drawn at random: lm_eval caches no such text either."""
    settings = request.args[1]
    return bool(settings.get("do_sample") or settings.get("temperature"))


def _name(arguments: tuple[Any, ...]) -> str:
    return json.dumps(arguments, sort_keys=True, default=str)
