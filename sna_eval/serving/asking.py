"""Requests to a completions server: so many prompts in each, so many requests at a time.

Models are asked one after another: an engine that takes requests of two models into one batch may
answer one as the other (vLLM on processors does). A request that gets no answer is sent again, as
often as lm_eval would; one that the server refuses is not. Answers are kept as they come. The first
that fails for good ends the run, once those in flight are in.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from tqdm import tqdm

from sna_eval.errors import InputError
from sna_eval.serving.address import Address
from sna_eval.serving.answers import UnreadableAnswer, choices_of
from sna_eval.serving.kept_answers import KeptAnswers

T = TypeVar("T", bound=tuple[Any, ...])
_AGAIN = (408, 409, 425, 429)
"""Refusals that may be none a moment later."""


@dataclass(frozen=True, eq=False)
class Question(Generic[T]):
    """One prompt, what is sent with it, and how its answer is read."""

    prompt: Any
    """Token ids, or a text."""
    payload: Mapping[str, Any]
    """What is sent beside the prompt."""
    read: Callable[[Mapping[str, Any]], T]
    """From the server's choice; raises `UnreadableAnswer`."""
    rebuild: Callable[..., T]
    """From the fields of an answer that was kept."""
    key: str | None = None
    """What it is kept under; `None`: it is asked anew each time."""


@dataclass(frozen=True)
class Asking:
    """How a server is asked."""

    address: Address
    batch_size: int = 1
    """Prompts in a request."""
    concurrent: int = 1
    """Requests at a time."""
    tries: int = 3
    timeout: float = 300.0
    """Seconds that a request may take."""
    kept: KeptAnswers = field(default_factory=KeptAnswers)
    together: bool = False
    """Whether models are asked at the same time: each prompt alone, in the order given."""

    def answers(self, questions: Sequence[Question[T]], *, quiet: bool = False) -> list[T]:
        """Of all questions, in order.

        **Raises:** `InputError` where the server refuses, or no longer answers.
        """
        found: dict[int, T] = {}
        for number, question in enumerate(questions):
            fields = self.kept.get(question.key) if question.key is not None else None
            if fields is not None:
                found[number] = question.rebuild(*fields)
        missing = [number for number in range(len(questions)) if number not in found]
        if missing:
            with tqdm(
                total=len(questions), initial=len(found), desc="Asking the server", disable=quiet
            ) as bar:
                for batches in self._phases(questions, missing):
                    _run(self._ask_all(questions, batches, found, bar))
        return [found[number] for number in range(len(questions))]

    def _phases(
        self, questions: Sequence[Question[T]], missing: Sequence[int]
    ) -> list[Iterator[list[int]]]:
        """Batches that may be in flight at the same time: one model's, if not told otherwise."""
        if self.together:
            return [iter([number] for number in missing)]
        return [self._batches(questions, numbers) for numbers in _by_model(questions, missing)]

    def _batches(
        self, questions: Sequence[Question[T]], asked: Sequence[int]
    ) -> Iterator[list[int]]:
        """Numbers of questions that may share a request, longest prompts first."""
        groups: dict[str, list[int]] = {}
        for number in asked:
            payload = json.dumps(questions[number].payload, sort_keys=True)
            groups.setdefault(payload, []).append(number)
        for numbers in groups.values():
            numbers.sort(key=lambda number: -len(questions[number].prompt))
            for start in range(0, len(numbers), self.batch_size):
                yield numbers[start : start + self.batch_size]

    async def _ask_all(
        self,
        questions: Sequence[Question[T]],
        batches: Iterator[list[int]],
        found: dict[int, T],
        bar: tqdm[Any],
    ) -> None:
        from aiohttp import ClientSession, ClientTimeout, TCPConnector

        failed: list[BaseException] = []

        async def work() -> None:
            for numbers in batches:
                if failed:
                    return
                try:
                    await self._ask(
                        session, [questions[number] for number in numbers], numbers, found
                    )
                except BaseException as error:
                    failed.append(error)
                    raise
                bar.update(len(numbers))

        connector = TCPConnector(limit=self.concurrent, ssl=self.address.verify)
        async with ClientSession(
            connector=connector, timeout=ClientTimeout(total=self.timeout)
        ) as session:
            workers = [asyncio.create_task(work()) for _ in range(self.concurrent)]
            await asyncio.gather(*workers, return_exceptions=True)
        if failed:
            raise failed[0]

    async def _ask(
        self,
        session: Any,
        questions: Sequence[Question[T]],
        numbers: Sequence[int],
        found: dict[int, T],
    ) -> None:
        """One request, and its answers taken up and kept."""
        prompts = [question.prompt for question in questions]
        # one text alone goes as a text, as lm_eval sends it
        alone = len(prompts) == 1 and isinstance(prompts[0], str)
        body = {**questions[0].payload, "prompt": prompts[0] if alone else prompts}

        def read(answer: Any) -> list[T]:
            choices = choices_of(answer, len(questions))
            return [
                question.read(choice) for question, choice in zip(questions, choices, strict=True)
            ]

        answers = await self._post(session, body, read)
        found.update(zip(numbers, answers, strict=True))
        self.kept.put(
            {
                question.key: list(answer)
                for question, answer in zip(questions, answers, strict=True)
                if question.key is not None
            }
        )

    async def _post(
        self, session: Any, body: Mapping[str, Any], read: Callable[[Any], list[T]]
    ) -> list[T]:
        from aiohttp import ClientError
        from tenacity import AsyncRetrying, retry_if_exception
        from tenacity.stop import stop_after_attempt
        from tenacity.wait import wait_exponential

        passing = (ClientError, OSError, asyncio.TimeoutError, ValueError, UnreadableAnswer)
        tries = AsyncRetrying(
            stop=stop_after_attempt(self.tries),
            wait=wait_exponential(multiplier=0.5, min=1, max=10),  # as lm_eval waits
            retry=retry_if_exception(
                lambda error: isinstance(error, passing) and not isinstance(error, InputError)
            ),
            reraise=True,
        )
        try:
            async for attempt in tries:
                with attempt:
                    return read(await self._once(session, body))
        except InputError:
            raise
        except UnreadableAnswer as error:
            raise InputError(
                "base_url",
                expected=f"answers of OpenAI's completions from {self.address.url}",
                got=str(error),
            ) from error
        except passing as error:
            said = " ".join(str(error).split())
            raise self.address.silent(f"{type(error).__name__}: {said}"[:300]) from error
        raise AssertionError("the last attempt raises")

    async def _once(self, session: Any, body: Mapping[str, Any]) -> Any:
        async with session.post(
            self.address.url, json=body, headers=dict(self.address.headers)
        ) as response:
            if response.ok:
                return await response.json(content_type=None)
            said = " ".join((await response.text()).split())[:300]
            if response.status < 500 and response.status not in _AGAIN:
                raise InputError(
                    "base_url", expected=f"an answer from {self.address.url}",
                    got=f"status {response.status}", hint=f"the server says: {said}",
                )  # fmt: skip
            raise OSError(f"status {response.status}: {said}")


def _by_model(questions: Sequence[Question[T]], numbers: Sequence[int]) -> list[list[int]]:
    """The numbers of each model's questions."""
    found: dict[Any, list[int]] = {}
    for number in numbers:
        found.setdefault(questions[number].payload.get("model"), []).append(number)
    return list(found.values())


def _run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Also inside a notebook, whose own loop is running."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(coroutine)
        return
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, coroutine).result()
