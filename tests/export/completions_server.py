"""A local server with OpenAI's `/v1/completions`: transformers and PEFT, a model name per adapter.

As much of the interface as engines with LoRA share: lists of prompts, `echo`, `logprobs`,
`max_tokens` (0 too), greedy decoding, errors as JSON.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch


class Engine:
    """A base model with one adapter, which a request switches on by its name."""

    def __init__(self, base: Path, adapter: Path, tokenizer: Any) -> None:
        from peft import PeftModel
        from transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_pretrained(base)
        self.model = PeftModel.from_pretrained(model, adapter).eval()
        self.tokenizer = tokenizer
        self.requests: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to one request."""
        self.requests.append(body)
        prompts = body["prompt"] if isinstance(body["prompt"], list) else [body["prompt"]]
        switch = self.model.disable_adapter() if body["model"] == "base" else nullcontext()
        with self._lock, switch, torch.no_grad():
            choices = [self._choice(number, p, body) for number, p in enumerate(prompts)]
        choices.reverse()  # servers promise no order but the index
        return {"object": "text_completion", "model": body["model"], "choices": choices}

    def _choice(self, index: int, prompt: str, body: dict[str, Any]) -> dict[str, Any]:
        ids = self.tokenizer(prompt, return_tensors="pt").input_ids
        start, count = ids.shape[1], body.get("max_tokens", 16)
        for _ in range(count):
            token = self.model(ids).logits[0, -1].argmax()
            ids = torch.cat([ids, token.reshape(1, 1)], dim=1)
            if token == self.tokenizer.eos_token_id:
                break
        log_probs = torch.log_softmax(self.model(ids).logits[0].float(), dim=-1)
        first = 0 if body.get("echo") else start
        own = [self._token(ids, log_probs, place) for place in range(first, ids.shape[1])]
        names = ("tokens", "token_logprobs", "top_logprobs")
        return {
            "index": index,
            "text": (prompt if body.get("echo") else "") + self.tokenizer.decode(ids[0, start:]),
            "logprobs": dict(zip(names, map(list, zip(*own, strict=True)), strict=True)),
            "finish_reason": "length",
        }

    def _token(self, ids: Any, log_probs: Any, place: int) -> tuple[str, Any, Any]:
        """A token, its log-probability and the likeliest one's; the first token has none."""
        token = self.tokenizer.decode(ids[0, place])
        if place == 0:
            return token, None, None
        row = log_probs[place - 1]
        best = int(row.argmax())
        return token, row[ids[0, place]].item(), {self.tokenizer.decode(best): row[best].item()}


@contextmanager
def serving(engine: Engine) -> Iterator[str]:
    """Serves an engine on 127.0.0.1, and yields the URL up to `/v1`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path != "/v1/completions" or body["model"] not in ("base", "sna"):
                return self._send(404, {"error": {"message": f"no model {body['model']}"}})
            return self._send(200, engine.complete(body))

        def _send(self, status: int, answer: dict[str, Any]) -> None:
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
