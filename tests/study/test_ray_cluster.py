"""What work on a Ray cluster has in common: its start, its end, and what workers complain of."""

from __future__ import annotations

import importlib.util
import signal
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from sna_eval.errors import InputError
from sna_eval.study import ray_cluster
from sna_eval.study.ray_cluster import RayCluster, check_equal_here, ray_module, received

MACHINES = [
    {"Alive": True, "Resources": {"CPU": 32.0, "memory": 1e9}},
    {"Alive": True, "Resources": {"CPU": 8.0, "GPU": 4.0}},
    {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}},
]
"""As `ray.nodes()` tells of them."""


def test_what_a_worker_complains_of_is_one_line(cluster: Any) -> None:
    """Ray's own error says the worker's whole traceback. A cluster that runs is left running."""

    def complain(expected: str) -> None:
        check_equal_here("this", expected, what="model and items")

    with RayCluster().connected() as ray:
        remote = RayCluster().remote(ray, complain)
        assert received(ray, remote.remote("this")) is None
        with pytest.raises(InputError) as raised:
            received(ray, remote.remote("that"))
    assert str(raised.value).startswith(
        "executor: expected the same model and items on every machine, got 'others on "
    )
    assert "\n" not in str(raised.value)
    assert cluster.is_initialized()


@pytest.fixture
def ours() -> Iterator[Any]:
    """How a command of ours ends at SIGTERM; Ray puts a way of its own in place of it."""

    def end(*_: Any) -> None:
        pass

    before = signal.signal(signal.SIGTERM, end)
    yield end
    signal.signal(signal.SIGTERM, before)


def test_a_cluster_that_was_started_ends_and_sigterm_stays(
    ours: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def init(**options: Any) -> None:
        asked.append(options["address"])
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def shutdown() -> None:
        asked.append("shutdown")

    fake = SimpleNamespace(
        is_initialized=lambda: False, init=init, shutdown=shutdown, nodes=lambda: MACHINES
    )
    monkeypatch.setattr(ray_cluster, "ray_module", lambda: fake)
    with RayCluster("auto").connected():
        assert signal.getsignal(signal.SIGTERM) is ours
    assert asked == ["auto", "shutdown"]


def test_no_cluster_at_the_address(ours: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**_: Any) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise ConnectionError("no cluster")

    fake = SimpleNamespace(is_initialized=lambda: False, init=init)
    monkeypatch.setattr(ray_cluster, "ray_module", lambda: fake)
    with (
        pytest.raises(InputError, match="ray_address: expected a running cluster, got 'auto'"),
        RayCluster("auto").connected(),
    ):
        pass
    assert signal.getsignal(signal.SIGTERM) is ours


@pytest.mark.parametrize(
    ("cluster", "waits"),
    [
        (RayCluster(gpus=5), True),
        (RayCluster(cpus=64), True),
        (RayCluster(cpus=32, gpus=1), True),
        (RayCluster(cpus=8, gpus=4), False),
        (RayCluster(cpus=32), False),
    ],
)
def test_more_than_any_machine_has_is_said(
    cluster: RayCluster, waits: bool, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """Ray waits for such a machine without a word."""
    fake = SimpleNamespace(is_initialized=lambda: True, nodes=lambda: MACHINES)
    monkeypatch.setattr(ray_cluster, "ray_module", lambda: fake)
    with cluster.connected():
        pass
    said = f"takes {cluster.cpus:g} CPUs and {cluster.gpus:g} GPUs, and the cluster's machines have"
    assert (f"{said} 32 and 0, 8 and 4: work waits" in caplog.text) == waits


def test_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="executor: expected `ray` to be installed"):
        ray_module()
