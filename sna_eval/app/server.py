"""Starts the app's server, on this machine alone unless told otherwise, and without telemetry."""

from __future__ import annotations

import importlib
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sna_eval.errors import InputError
from sna_eval.files import REFERENCE_MODEL

_SCRIPT = Path(__file__).parent / "ui" / "script.py"
_UPLOAD_MB = 16
_HEAVY = ("sna_eval.app.core.models", "sna_eval.harness.lm", "lm_eval.tasks")
IMPORTING = threading.Lock()
"""Held while the heavy modules are imported. Two threads that import modules which import each
other, from different ends, can block one another; Python then breaks one of the imports off."""


@dataclass(frozen=True)
class Serving:
    """Where the app listens."""

    host: str = "localhost"
    port: int = 8501
    open_browser: bool = True
    model: str = REFERENCE_MODEL
    """What sessions begin with; loaded while the first page is still on its way."""

    def __post_init__(self) -> None:
        if not 1 <= self.port <= 65535:
            raise InputError("port", expected="a number from 1 to 65535", got=self.port)


_started = Serving()


def started() -> Serving:
    """What this process serves with; the defaults where it serves nothing."""
    return _started


def serve(serving: Serving) -> None:
    """Serves until it is interrupted.

    **Raises:** `InputError` where Streamlit is not installed.
    """
    global _started
    _started = serving
    try:
        from streamlit.web import bootstrap
    except ImportError as error:
        raise InputError(
            "app", expected="streamlit", got=None, hint="pip install 'sna-eval[app]'"
        ) from error
    threading.Thread(target=_prepare, args=(serving.model,), daemon=True).start()
    options = streamlit_options(serving)
    bootstrap.load_config_options(options)
    bootstrap.run(str(_SCRIPT), False, [], options)


def _prepare(model: str) -> None:
    """Imports and loads beside the server's own start; the first page waits for what is left."""
    with IMPORTING:
        for name in _HEAVY:
            importlib.import_module(name)
    from sna_eval.app.core.models import SHELF
    from sna_eval.app.core.question import FIRST_TASK
    from sna_eval.app.core.setting import PromptSource

    SHELF.prepare(model)
    if SHELF.is_ready(model):  # the first click need not search then
        workspace = SHELF.get(model)
        _ = workspace.first_look
        workspace.ranked(PromptSource(FIRST_TASK), "differential", "mean")
        workspace.warm_up()


def streamlit_options(serving: Serving) -> dict[str, Any]:
    """Streamlit's own options, as its command line spells them."""
    from sna_eval.app.ui.look import THEME

    return {
        "server_address": serving.host,
        "server_port": serving.port,
        "server_headless": not serving.open_browser,
        "server_fileWatcherType": "none",
        "server_maxUploadSize": _UPLOAD_MB,
        "browser_gatherUsageStats": False,
        "client_toolbarMode": "minimal",
        "client_showErrorDetails": "none",
        **{f"theme_{name}": value for name, value in THEME.items()},
    }
