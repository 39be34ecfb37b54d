"""Confidence-gated amplification against a server: baseline request, gate, adapter request.

    python scripts/gated_client.py documents.jsonl --url http://127.0.0.1:8000/v1 \\
        --base BASE --adapter sna --export EXPORT_FOLDER --output answers.jsonl

The server speaks OpenAI's `/v1/completions` and serves a base model and a LoRA adapter under two
names (docs/serving.md). Each line of the input is a document:

    {"context": "Review: ... Sentiment:", "choices": [" negative", " positive"], "answer": 1}
    {"context": "2 + 2 ="}

With `choices` their log-likelihoods are asked of the base model; where the gate opens, of the
adapter instead. Without them a text is generated, and the gate reads the first token's probability.
`answer` is needed by a gate on `target_prob` alone, which nobody can use on unseen questions.

One decision per document, by the rules of `sna_eval.gating` (Akhtar 2026, arXiv:2604.07098). Needs
nothing but Python: no package has to be installed where requests are sent from.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

SIGNALS = ("margin", "max_prob", "target_prob")
"""Signals that a server's answers allow; `entropy` would need the whole distribution."""
KEY_VARIABLE = "GATED_CLIENT_KEY"
"""Environment variable with the server's API key, if it wants one."""


class ClientError(Exception):
    """What went wrong, in one line."""


@dataclass(frozen=True)
class Gate:
    """Amplify below `low`; between `low` and `high` as `transition` says; never above."""

    signal: str = "margin"
    low: float = 0.30
    high: float = 0.60
    transition: str = "leave"
    mode: str = "confidence"

    def __post_init__(self) -> None:
        if self.decides and self.signal not in SIGNALS:
            raise ClientError(f"signal: expected one of {', '.join(SIGNALS)}, got {self.signal!r}")
        if not self.low <= self.high:
            raise ClientError(f"low: expected at most high = {self.high}, got {self.low}")

    @property
    def decides(self) -> bool:
        """Whether the confidence matters; where not, it is not measured."""
        return self.mode == "confidence"

    def zone(self, confidence: float) -> int:
        """1 uncertain, 2 between, 3 saturated."""
        if confidence < self.low:
            return 1
        return 3 if confidence > self.high else 2

    def opens(self, confidence: float) -> bool:
        if not self.decides:
            return self.mode == "always"
        zone = self.zone(confidence)
        return zone == 1 or (zone == 2 and self.transition == "amplify")


def gate_of_export(folder: Path) -> dict[str, Any]:
    """The gate of the plan that an export was made from, out of its `sna_export.json`."""
    path = folder / "sna_export.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return dict(record["plan"]["tasks"][record["task"]]["gate"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ClientError(f"export: expected a folder with {path.name}, got {folder}") from error


@dataclass(frozen=True)
class Server:
    """An OpenAI-compatible completions server."""

    url: str
    timeout: float = 60.0

    def complete(self, model: str, prompts: Sequence[str], **options: Any) -> list[dict[str, Any]]:
        """The choices for some prompts, in their order, decoded greedily."""
        body = {"model": model, "prompt": list(prompts), "temperature": 0, "logprobs": 1, **options}
        answer = self._post(f"{self.url.rstrip('/')}/completions", body)
        try:
            choices = sorted(answer["choices"], key=lambda choice: choice["index"])
            complete = all(choice["logprobs"]["token_logprobs"] for choice in choices)
        except (KeyError, TypeError) as error:
            raise ClientError(f"{self.url}: expected choices with log-probabilities") from error
        if len(choices) != len(prompts) or not complete:
            raise ClientError(f"{self.url}: expected {len(prompts)} choices with log-probabilities")
        return choices

    def _post(self, url: str, body: dict[str, Any]) -> Any:
        headers = {"Content-Type": "application/json"}
        if os.environ.get(KEY_VARIABLE):
            headers["Authorization"] = f"Bearer {os.environ[KEY_VARIABLE]}"
        try:
            request = urllib.request.Request(url, json.dumps(body).encode(), headers)
            with urllib.request.urlopen(request, timeout=self.timeout) as response:
                return json.loads(response.read())
        except urllib.error.HTTPError as error:
            said = " ".join(error.read(300).decode(errors="replace").split())
            raise ClientError(f"{url}: status {error.code}: {said}") from error
        except (OSError, ValueError, HTTPException) as error:
            raise ClientError(f"{url}: expected a server's JSON answer, got {error}") from error


@dataclass(frozen=True)
class Scores:
    """What a model says about a document's choices."""

    log_likelihoods: tuple[float, ...]
    next_log_prob: float
    """Log-probability of the most likely token after the context."""


def score(server: Server, model: str, context: str, choices: Sequence[str]) -> Scores:
    """Log-likelihoods of choices, tokenized as lm_eval does: the context's own tokens come off.

    The prompts are the context alone and the context with each choice; the echo of the first tells
    how many tokens belong to the context. `max_tokens` is 1 since not every server takes 0.
    """
    spaces = context[len(context.rstrip()) :]  # as lm_eval: white space goes with the choice
    context = context.rstrip()
    prompts = [context, *(context + spaces + choice for choice in choices)]
    answers = server.complete(model, prompts, echo=True, max_tokens=1)
    alone, *echoed = (answer["logprobs"]["token_logprobs"] for answer in answers)
    start = len(alone) - 1  # the last one is the generated token
    chosen = [log_probs[start:-1] for log_probs in echoed]
    if start < 1 or not all(chosen) or any(value is None for own in chosen for value in own):
        raise ClientError(f"{server.url}: expected log-probabilities of the echoed prompt")
    return Scores(tuple(math.fsum(own) for own in chosen), float(alone[-1]))


def margin(log_likelihoods: Sequence[float]) -> float:
    """`(p1 - p2) / (p1 + p2)` of the two most likely choices, as `tanh((l1 - l2) / 2)`."""
    if len(log_likelihoods) < 2:
        raise ClientError("choices: a margin needs two; use --signal max_prob")
    first, second = sorted(log_likelihoods, reverse=True)[:2]
    return 0.0 if first == second else math.tanh((first - second) / 2)


def confidence(gate: Gate, scores: Scores, answer: Any) -> float:
    """The gate's signal, from the base model's scores; NaN where it does not matter."""
    if not gate.decides:
        return math.nan
    if gate.signal == "target_prob":
        if not isinstance(answer, int) or not 0 <= answer < len(scores.log_likelihoods):
            raise ClientError(f"answer: `target_prob` needs the right choice, got {answer}")
        return math.exp(scores.log_likelihoods[answer])
    if gate.signal == "max_prob":
        return math.exp(scores.next_log_prob)
    return margin(scores.log_likelihoods)


@dataclass(frozen=True)
class Client:
    """A base model, its adapter, and the gate between them."""

    server: Server
    base: str
    adapter: str
    gate: Gate
    max_tokens: int = 32
    """Tokens of a generated text at most."""

    def answer(self, document: dict[str, Any]) -> dict[str, Any]:
        """The document's answer and how it came about."""
        context = document.get("context")
        if not isinstance(context, str) or not context.strip():
            raise ClientError(f"context: expected a text, got {context!r}")
        if "choices" in document:
            return self._choose(context, document["choices"], document.get("answer"))
        return self._generate(context)

    def _choose(self, context: str, choices: Any, answer: Any) -> dict[str, Any]:
        if not isinstance(choices, list) or not choices or not all(map(_is_text, choices)):
            raise ClientError(f"choices: expected a list of texts, got {choices!r}")
        baseline = score(self.server, self.base, context, choices)
        level = confidence(self.gate, baseline, answer)
        final, overflowed = baseline.log_likelihoods, False
        if self.gate.opens(level):
            amplified = score(self.server, self.adapter, context, choices).log_likelihoods
            overflowed = not all(map(math.isfinite, amplified))
            final = final if overflowed else amplified
        return {
            **self._decision(level),
            "overflowed": overflowed,
            "baseline": list(baseline.log_likelihoods),
            "scores": list(final),
            "best": max(range(len(final)), key=final.__getitem__),
        }

    def _generate(self, context: str) -> dict[str, Any]:
        if self.gate.decides and self.gate.signal != "max_prob":
            raise ClientError("choices: without them the gate needs --signal max_prob")
        baseline = self._complete(self.base, context)
        level = math.exp(baseline["logprobs"]["token_logprobs"][0])
        final = self._complete(self.adapter, context) if self.gate.opens(level) else baseline
        return {**self._decision(level), "baseline": baseline["text"], "text": final["text"]}

    def _complete(self, model: str, context: str) -> dict[str, Any]:
        return self.server.complete(model, [context], max_tokens=self.max_tokens)[0]

    def _decision(self, level: float) -> dict[str, Any]:
        known = self.gate.decides
        return {
            "confidence": level if known else None,
            "zone": self.gate.zone(level) if known else None,
            "amplified": self.gate.opens(level),
        }


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def read_documents(path: Path) -> list[dict[str, Any]]:
    """A file of JSON lines."""
    documents = []
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # others may stand inside a text
    except (OSError, UnicodeDecodeError) as error:
        raise ClientError(f"{path}: expected a file of JSON lines, got {error}") from error
    for number, line in enumerate(lines, 1):
        try:
            document = json.loads(line) if line.strip() else None
        except ValueError as error:
            raise ClientError(f"{path}:{number}: expected a JSON object, got {error}") from error
        if isinstance(document, dict):
            documents.append(document)
        elif document is not None:
            raise ClientError(f"{path}:{number}: expected a JSON object, got {line[:80]!r}")
    return documents


def run(client: Client, documents: Sequence[dict[str, Any]], workers: int) -> list[dict[str, Any]]:
    """All answers, in order."""

    def numbered(entry: tuple[int, dict[str, Any]]) -> dict[str, Any]:
        try:
            return client.answer(entry[1])
        except ClientError as error:
            raise ClientError(f"document {entry[0]}: {error}") from error

    if workers < 1:
        raise ClientError(f"workers: expected 1 or more, got {workers}")
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(numbered, enumerate(documents, 1)))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; 0 is success, 2 bad input or a server that does not answer."""
    options = _parser().parse_args(argv)
    try:
        server = Server(options.url, options.timeout)
        client = Client(server, options.base, options.adapter, _gate(options), options.max_tokens)
        answers = run(client, read_documents(options.documents), options.workers)
        _write(answers, options.output)
    except ClientError as error:
        print(f"gated_client: error: {error}", file=sys.stderr)
        return 2
    amplified = sum(answer["amplified"] for answer in answers)
    print(f"{len(answers)} documents, {amplified} amplified", file=sys.stderr)
    return 0


def _write(answers: Sequence[dict[str, Any]], path: Path | None) -> None:
    text = "".join(f"{json.dumps(answer)}\n" for answer in answers)
    if path is None:
        sys.stdout.write(text)
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ClientError(f"output: {error}") from error


def _gate(options: argparse.Namespace) -> Gate:
    """The export's gate, or the one given; single values given beside an export change it."""
    given = {name: getattr(options, name) for name in ("signal", "low", "high", "transition")}
    changes = {name: value for name, value in given.items() if value is not None}
    values = gate_of_export(options.export) if options.export else {}
    if options.signal is not None:  # whoever names a signal wants it followed, with its own bounds
        values["mode"] = "confidence"
        if values.get("signal", options.signal) != options.signal:
            values = {name: own for name, own in values.items() if name not in ("low", "high")}
    try:
        return Gate(**{**values, **changes})
    except TypeError as error:
        raise ClientError(f"export: expected a gate, got {values}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("documents", type=Path, help="JSON lines")
    parser.add_argument("--url", default="http://127.0.0.1:8000/v1", help="up to /v1")
    parser.add_argument("--base", required=True, help="the base model's name on the server")
    parser.add_argument("--adapter", required=True, help="the adapter's name on the server")
    parser.add_argument("--export", type=Path, help="folder of `sna-eval export`, for its gate")
    parser.add_argument("--signal", choices=SIGNALS, help="default margin")
    parser.add_argument("--low", type=float, help="zone 1 lies below (default 0.3)")
    parser.add_argument("--high", type=float, help="zone 3 lies above (default 0.6)")
    parser.add_argument("--transition", choices=("leave", "amplify"), help="what zone 2 gets")
    parser.add_argument("--max_tokens", type=int, default=32, help="of a generated text")
    parser.add_argument("--workers", type=int, default=1, help="documents at a time")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds per request")
    parser.add_argument("--output", type=Path, help="JSON lines (default: standard output)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
