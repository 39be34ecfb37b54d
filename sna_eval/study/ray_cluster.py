"""A Ray cluster that work is sent out to; what a lost worker was at is done again.

Workers load model and tasks themselves and send results back; the process that was started writes
the files, so no shared disk is needed. `ray` is an extra: `pip install "sna-eval[ray]"`.
"""

from __future__ import annotations

import importlib.util
import logging
import platform
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sna_eval.errors import InputError

_LOGGER = logging.getLogger(__name__)
_RUN_AGAIN = 10
"""How often work whose worker was lost runs again; what kills every worker ends the run.

An error that work raises ends it at once."""


@dataclass(frozen=True)
class RayCluster:
    """A cluster, and what a worker takes of it."""

    address: str | None = None
    """Of a running cluster, `auto` for the one this machine belongs to; `None` starts one here."""
    cpus: float = 1
    """CPUs that a worker takes."""
    gpus: float = 0
    """GPUs that a worker takes."""

    @contextmanager
    def connected(self) -> Iterator[Any]:
        """The module `ray`, connected; what was started here ends with the body.

        **Raises:** `InputError` where `ray` is not installed, or no cluster is at the address.
        """
        ray = ray_module()
        started_here = not ray.is_initialized()
        if started_here:
            self._start(ray)
        try:
            self._tell_of_waiting(ray)
            yield ray
        finally:
            if started_here:
                ray.shutdown()

    def remote(self, ray: Any, work: Callable[..., Any]) -> Any:
        """A function that workers run, `remote(...).remote(arguments)`."""
        return ray.remote(
            num_cpus=self.cpus, num_gpus=self.gpus, max_retries=_RUN_AGAIN, retry_exceptions=False
        )(work)

    def _start(self, ray: Any) -> None:
        try:
            with _sigterm_as_it_is():
                ray.init(address=self.address, log_to_driver=False, logging_level=logging.ERROR)
        except ConnectionError as error:
            raise InputError(
                "ray_address", expected="a running cluster", got=self.address,
                hint="`ray start --head` starts one; without an address one is started here",
            ) from error  # fmt: skip

    def _tell_of_waiting(self, ray: Any) -> None:
        """Work that no machine has room for waits: forever, where none is added."""
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        has = [(machine.get("CPU", 0), machine.get("GPU", 0)) for machine in machines]
        if any(cpus >= self.cpus and gpus >= self.gpus for cpus, gpus in has):
            return
        there = ", ".join(f"{cpus:g} and {gpus:g}" for cpus, gpus in has)
        _LOGGER.warning(
            "ray_cpus, ray_gpus: a worker takes %g CPUs and %g GPUs, and the cluster's machines "
            "have %s: work waits until one with room joins",
            self.cpus, self.gpus, there,
        )  # fmt: skip


def ray_module() -> Any:
    """`ray`.

    **Raises:** `InputError` where it is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        raise InputError(
            "executor",
            expected="`ray` to be installed",
            got="no such module",
            hint='pip install "sna-eval[ray]", or use --executor local',
        )
    import ray

    return ray


def received(ray: Any, sent: Any) -> Any:
    """What a worker sends back; bad input is raised as the worker raised it, in one line."""
    try:
        return ray.get(sent)
    except InputError as error:  # Ray's own kind of it says the worker's traceback
        raise getattr(error, "cause", error) from None


def check_equal_here(found: str, expected: str, *, what: str) -> None:
    """Raises `InputError` in a worker that has loaded something else than the starting process.

    **Arguments:**

    - `found`, `expected`: fingerprints of what either has.
    """
    if found != expected:
        raise InputError(
            "executor", expected=f"the same {what} on every machine",
            got=f"others on {platform.node()}",
            hint="name the model by its hub name and revision, or by one path to equal files",
        )  # fmt: skip


@contextmanager
def _sigterm_as_it_is() -> Iterator[None]:
    """Keeps a command's own way of ending at SIGTERM, which Ray would put its own in place of."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if callable(handler) and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)
