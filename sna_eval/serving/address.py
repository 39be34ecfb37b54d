"""A server's address, and the models that it says it serves."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sna_eval.errors import InputError

_COMPLETIONS = "/completions"
_PATIENCE = 30  # seconds


@dataclass(frozen=True)
class ServedCard:
    """What a server says of one of its models."""

    root: str | None = None
    """Folder or hub name that it was loaded from, on the server."""
    max_length: int | None = None
    """Tokens it reads at most."""


@dataclass(frozen=True)
class Address:
    """Where requests go, and with what."""

    url: str
    """Up to `/v1/completions`."""
    headers: Mapping[str, str] = field(default_factory=dict)
    verify: bool = True
    """Whether certificates are checked."""

    @classmethod
    def parse(cls, base_url: Any, headers: Any = None, *, verify: bool = True) -> Address:
        """Reads `base_url=`, up to `/v1` or to `/v1/completions`."""
        if not isinstance(base_url, str) or not base_url.startswith(("http://", "https://")):
            raise InputError(
                "base_url", expected="a server's address", got=base_url,
                hint="for example base_url=http://127.0.0.1:8000/v1/completions",
            )  # fmt: skip
        url = base_url.rstrip("/").removesuffix(_COMPLETIONS) + _COMPLETIONS
        key = os.environ.get("OPENAI_API_KEY", "")  # as lm_eval's `local-completions`
        return cls(url, dict(headers or {"Authorization": f"Bearer {key}"}), verify)

    def models(self) -> dict[str, ServedCard]:
        """The served models by name; empty where a server does not list them.

        **Raises:** `InputError` where nobody answers.
        """
        import requests

        url = self.url.removesuffix(_COMPLETIONS) + "/models"
        try:
            answer = requests.get(
                url, headers=dict(self.headers), verify=self.verify, timeout=_PATIENCE
            )
            listed = answer.json()["data"] if answer.ok else []
        except requests.exceptions.ConnectionError as error:
            raise self.silent(f"{type(error).__name__} at {url}") from error
        except (requests.RequestException, ValueError, LookupError, TypeError):
            return {}
        return {
            str(model["id"]): ServedCard(model.get("root"), model.get("max_model_len"))
            for model in listed
            if isinstance(model, dict) and "id" in model
        }

    def silent(self, got: str) -> InputError:
        """The complaint about a server that does not answer."""
        return InputError(
            "base_url", expected=f"a server that answers at {self.url}", got=got,
            hint="look at its log and start it again; with --use_cache FILE the same command asks "
            "only for what is missing",
        )  # fmt: skip


def check_served(name: str, served: Mapping[str, ServedCard], *, field: str, hint: str) -> None:
    """Raises `InputError` for a name that the server does not list."""
    if served and name not in served:
        raise InputError(
            field, expected=f"one of the models that the server lists ({', '.join(served)})",
            got=name, hint=hint,
        )  # fmt: skip
