"""A local server with OpenAI's `/v1/completions`: transformers and PEFT, a model name per adapter.

As much of the interface as engines with LoRA share, and every way in which one may go wrong. What
a real engine does is tested on a real engine (`tests/vllm`).
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch

Fault = Callable[[dict[str, Any], dict[str, Any]], "dict[str, Any] | int | None"]
"""Of a request and its answer: another answer, a status, or `None` for a connection cut off."""


class Engine:
    """A base model with one adapter, which a request switches on by its name."""

    def __init__(self, base: Path, adapter: Path, tokenizer: Any) -> None:
        from peft import PeftModel
        from transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_pretrained(base)
        self.model = PeftModel.from_pretrained(model, adapter).eval()
        self.tokenizer = tokenizer
        self.names = {"base": False, "sna": True}
        """Whether a name has the adapter on."""
        self.cards: dict[str, Any] = {"root": str(base), "max_model_len": 512}
        self.requests: list[dict[str, Any]] = []
        self.fault: Fault = lambda body, answer: answer
        self.sends_named = True
        """Whether it knows of `logprob_token_ids`, as vLLM does."""
        self.mixes = False
        """Whether all in flight get the adapter where one does, as from vLLM on processors."""
        self.met = False
        """Whether requests of two models were ever in flight together."""
        self._in_flight: Counter[str] = Counter()
        self._counting = threading.Lock()
        self._lock = threading.Lock()

    def complete(self, body: dict[str, Any]) -> dict[str, Any] | int | None:
        """The answer to one request, or what came of it."""
        self.requests.append(body)
        prompts = body["prompt"]
        if isinstance(prompts, str) or isinstance(prompts[0], int):
            prompts = [prompts]
        with self._flying(body["model"]), self._lock, self._adapter(body["model"]), torch.no_grad():
            choices = [self._choice(number, p, body) for number, p in enumerate(prompts)]
        choices.reverse()  # servers promise no order but the index
        return self.fault(body, {"model": body["model"], "choices": choices})

    @contextmanager
    def _flying(self, name: str) -> Iterator[None]:
        with self._counting:
            self._in_flight[name] += 1
            self.met |= sum(map(bool, self._in_flight.values())) > 1
        try:
            yield
        finally:
            with self._counting:
                self._in_flight[name] -= 1

    @contextmanager
    def _adapter(self, name: str) -> Iterator[None]:
        """Switched on where the name wants it, or the company has it."""
        with self._counting:
            company = [adapter for adapter, count in self._in_flight.items() if count]
        on = self.names[name] or (self.mixes and any(self.names[adapter] for adapter in company))
        with nullcontext() if on else self.model.disable_adapter():
            yield

    def _choice(self, index: int, prompt: Any, body: dict[str, Any]) -> dict[str, Any]:
        tokens = self.tokenizer(prompt).input_ids if isinstance(prompt, str) else prompt
        ids = torch.tensor([tokens])
        start, stops = ids.shape[1], [stop for stop in body.get("stop") or () if stop]
        text = ""
        for _ in range(body.get("max_tokens", 16)):
            token = self.model(ids).logits[0, -1].argmax()
            ids = torch.cat([ids, token.reshape(1, 1)], dim=1)
            text = self.tokenizer.decode(ids[0, start:])
            if token == self.tokenizer.eos_token_id or any(stop in text for stop in stops):
                break
        for stop in stops:
            text = text.partition(stop)[0]
        log_probs = torch.log_softmax(self.model(ids).logits[0].float(), dim=-1)
        first = 0 if body.get("echo") else start
        rows = [self._token(ids, log_probs, place, body) for place in range(first, ids.shape[1])]
        names = ("tokens", "token_logprobs", "top_logprobs")
        return {
            "index": index,
            "text": text,
            "logprobs": dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)),
            "finish_reason": "length",
        }

    def _token(
        self, ids: Any, log_probs: Any, place: int, body: dict[str, Any]
    ) -> tuple[str, Any, Any]:
        """A token, its log-probability and others'; the first token has none.

        The others are the likeliest ones, or those that a request names.
        """
        token = self.tokenizer.decode(ids[0, place])
        if place == 0:
            return token, None, None
        row, count = log_probs[place - 1], body["logprobs"]
        named = body.get("logprob_token_ids") if self.sends_named else None
        best = named or row.topk(len(row) if count == -1 else count).indices.tolist()
        top = {f"token_id:{number}": row[number].item() for number in best}
        given = int(ids[0, place])
        return token, row[given].item(), {**top, f"token_id:{given}": row[given].item()}


@contextmanager
def serving(engine: Engine) -> Iterator[str]:
    """Serves an engine on 127.0.0.1, and yields the URL up to `/v1`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            listed = [{"id": name, **engine.cards} for name in engine.names]
            self._send(200, {"data": listed})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path != "/v1/completions" or body["model"] not in engine.names:
                return self._send(404, {"error": {"message": f"no model {body['model']}"}})
            answer = engine.complete(body)
            if answer is None:
                return self.close_connection_now()
            if isinstance(answer, int):
                return self._send(answer, {"error": {"message": "something broke"}})
            return self._send(200, answer)

        def close_connection_now(self) -> None:
            self.close_connection = True
            self.connection.close()

        def _send(self, status: int, answer: dict[str, Any]) -> None:
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: Any) -> None:
            """Says nothing."""

        def finish(self) -> None:
            if not self.wfile.closed and not self.connection._closed:  # type: ignore[attr-defined]
                super().finish()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
