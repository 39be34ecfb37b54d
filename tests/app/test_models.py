"""Models are loaded once for all who ask, and what is no model is one message."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sna_eval.app.core import models
from sna_eval.app.core.models import Shelf
from sna_eval.app.core.workspace import Workspace
from sna_eval.errors import InputError


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names that were loaded, by a loader that only notes them."""
    names: list[str] = []

    def load(name: str) -> Workspace:
        names.append(name)
        if name == "broken":
            raise InputError("model", expected="x", got=name)
        return Workspace(name, None)

    monkeypatch.setattr(models, "_load", load)
    return names


def test_loaded_once_for_all_threads(loaded: list[str]) -> None:
    shelf = Shelf()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(shelf.get, ["a", " a", "b", "a", "b ", "a", "b", "a"]))
    assert sorted(loaded) == ["a", "b"]
    assert len(set(map(id, found))) == 2
    assert shelf.is_ready("a")


def test_the_model_used_longest_ago_goes_first(loaded: list[str]) -> None:
    shelf = Shelf()
    for name in ("a", "b", "a", "c"):
        shelf.get(name)
    assert [shelf.is_ready(name) for name in ("a", "b", "c")] == [True, False, True]


def test_a_failure_is_told_to_whoever_asks(loaded: list[str]) -> None:
    shelf = Shelf()
    shelf.prepare("broken")  # ahead of time: nobody is there to be told
    with pytest.raises(InputError, match="model: expected x"):
        shelf.get("broken")
    assert loaded == ["broken", "broken"]


@pytest.mark.parametrize("name", ["", "  "])
def test_an_empty_name(name: str) -> None:
    with pytest.raises(InputError, match=r"model: expected a hub name, .* file, got ''"):
        Shelf().get(name)


def test_what_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"^(model|pretrained): expected") as raised:
        Shelf().get(str(tmp_path))
    assert "\n" not in str(raised.value)


def test_the_server_listens_here_alone_and_sends_nothing() -> None:
    from sna_eval.app.server import Serving, streamlit_options

    options = streamlit_options(Serving())
    assert options["server_address"] == "localhost"
    assert options["browser_gatherUsageStats"] is False
    assert options["client_showErrorDetails"] == "none"
    assert streamlit_options(Serving("0.0.0.0", 99))["server_address"] == "0.0.0.0"


def test_a_port_that_is_none() -> None:
    from sna_eval.app.server import Serving

    with pytest.raises(InputError, match="port: expected a number from 1 to 65535, got 0"):
        Serving(port=0)


def test_without_streamlit_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from sna_eval.app.server import Serving, serve

    monkeypatch.setitem(sys.modules, "streamlit.web", None)
    with pytest.raises(InputError, match=r"app: expected streamlit.*pip install 'sna-eval\[app\]'"):
        serve(Serving())


def test_the_slow_imports_have_nothing_of_streamlit() -> None:
    """The server's own thread imports Streamlit at the same time; see `server.IMPORTING`."""
    import subprocess
    import sys

    program = (
        "import importlib, sys\n"
        "from sna_eval.app.server import _HEAVY\n"
        "for name in _HEAVY: importlib.import_module(name)\n"
        "print('streamlit' in sys.modules, 'sna_eval.harness.lm' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split() == ["False", "True"], done.stderr
