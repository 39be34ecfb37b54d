"""Models by name, each loaded once for the whole server.

Kept by the process rather than by the browser's session, so that loading can begin before the first
page is asked for.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from sna_eval.app.core.workspace import Workspace
from sna_eval.errors import InputError
from sna_eval.files import REFERENCE_MODEL

OFFERED = (
    REFERENCE_MODEL,
    "gpt2",
    "gpt2-medium",
    "gpt2-large",
    "gpt2-xl",
    "EleutherAI/pythia-160m",
)
_KEPT = 2  # models in memory; the one used longest ago goes first


class Shelf:
    """Loaded models; any thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loading: dict[str, threading.Lock] = {}
        self._ready: OrderedDict[str, Workspace] = OrderedDict()

    def get(self, name: str) -> Workspace:
        """The model of that name; loads it if nobody has.

        **Raises:** `InputError` where there is no such model, or it cannot be used.
        """
        name = name.strip()
        if not name:
            raise InputError(
                "model", expected="a hub name, a folder or a .gguf file", got=name,
                hint="type one, e.g. gpt2",
            )  # fmt: skip
        with self._lock:
            loading = self._loading.setdefault(name, threading.Lock())
        with loading:  # whoever comes second waits, and finds it there
            with self._lock:
                workspace = self._ready.get(name)
            if workspace is None:
                workspace = _load(name)
            with self._lock:
                self._ready[name] = workspace
                self._ready.move_to_end(name)
                while len(self._ready) > _KEPT:
                    self._ready.popitem(last=False)
            return workspace

    def is_ready(self, name: str) -> bool:
        return name.strip() in self._ready

    def prepare(self, name: str) -> None:
        """Loads a model ahead of time; what goes wrong is told to whoever asks for it."""
        try:
            self.get(name)
        except InputError:
            return


SHELF = Shelf()
"""The server's models."""


def _load(name: str) -> Workspace:
    from sna_eval.harness.loading import arguments_of, load_lm

    try:
        workspace = Workspace(name, load_lm(arguments_of(name), gate="never"))
        with workspace.passes():  # finds the neurons' sites, or says that it cannot
            return workspace
    except InputError:
        raise
    except Exception as error:  # loaders fail in many ways; whichever it was, one line says it
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            "model", expected="a causal language model", got=name, hint=first[:300]
        ) from error
