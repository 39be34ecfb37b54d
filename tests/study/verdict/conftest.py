"""A registration of the tiny model on the user's own tasks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sna_eval.study.verdict import RegisterOptions, Registration, register
from sna_eval.study.verdict.registration import RegisteredSearch

SMALL = RegisteredSearch(n_neurons=(2, 5), multipliers=(1.5, 3.0), measured=2)


@pytest.fixture
def no_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Openings of other tests are not remembered."""
    monkeypatch.setenv("SNA_EVAL_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def asked(checkpoint: Path, own_tasks: Path) -> Callable[..., RegisterOptions]:
    """What is registered: one task, unless told otherwise."""

    def make(*tasks: str, **options: Any) -> RegisterOptions:
        values: dict[str, Any] = {"search": SMALL, "draws": 3, **options}
        return RegisterOptions(
            tasks=tasks or ("own_open",), model_args=f"pretrained={checkpoint}",
            include_path=str(own_tasks), **values,
        )  # fmt: skip

    return make


@pytest.fixture(scope="session")
def registration(lm: Any, asked: Callable[..., RegisterOptions]) -> Registration:
    """Two tasks, so that there are other tasks' neurons."""
    return register(lm, asked("own_open", "own_choices"), quiet=True)
