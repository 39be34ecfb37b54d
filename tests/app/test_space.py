"""The folder that deploys as a Hugging Face Space, started by its own Dockerfile's command."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copy, copytree
from typing import Any

import pytest
import yaml

from tests.app.browser import wait_for

SPACE = Path(__file__).resolve().parents[2] / "examples" / "space"


def front_matter() -> dict[str, Any]:
    _, head, _ = (SPACE / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(head)


def instructions(name: str) -> list[str]:
    """What follows a word of the Dockerfile, line by line."""
    text = (SPACE / "Dockerfile").read_text(encoding="utf-8")
    return re.findall(rf"^{name} (.*)$", text, flags=re.MULTILINE)


def test_the_front_matter_says_what_the_dockerfile_does() -> None:
    head = front_matter()
    assert head["sdk"] == "docker"
    assert instructions("EXPOSE") == [str(head["app_port"])]
    assert f"PORT={head['app_port']}" in instructions("ENV")
    assert len(head["short_description"]) <= 60
    assert head["license"] == "apache-2.0"
    for instruction in instructions("COPY"):
        assert (SPACE / instruction.split()[-2]).exists()
    assert "sna-eval[app]" in (SPACE / "requirements.txt").read_text(encoding="utf-8").split()


@contextmanager
def started(folder: Path) -> Iterator[str]:
    """The Dockerfile's command in a folder, with no more than its variables; yields the address."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    declared = dict(
        instruction.split("=", 1)
        for instruction in instructions("ENV")
        if not instruction.startswith("PATH")
    )
    environment = {
        **os.environ,
        **declared,
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": str(folder),
        "PORT": str(port),
        "SNA_EVAL_CACHE": str(folder / "cache"),
        "HF_HUB_OFFLINE": "1",
    }
    (command,) = instructions("CMD")
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            json.loads(command), cwd=folder, env=environment, stdout=log, stderr=log
        )
        try:
            wait_for(f"http://localhost:{port}/_stcore/health", process)
            yield f"http://localhost:{port}"
        finally:
            process.terminate()
            process.wait(30)


@pytest.mark.parametrize("configured", [True, False])
def test_it_starts_as_a_space_would(tmp_path: Path, configured: bool) -> None:
    """It can be shown in a frame, and takes uploads there: without cookies, thanks to a file."""
    if configured:
        for instruction in instructions("COPY"):
            name = instruction.split()[-2]
            (copytree if (SPACE / name).is_dir() else copy)(SPACE / name, tmp_path / name)
    with started(tmp_path) as address:
        with urllib.request.urlopen(address, timeout=10) as page:
            assert page.status == 200
            assert "X-Frame-Options" not in page.headers
        upload = urllib.request.Request(
            f"{address}/_stcore/upload_file/nobody/nothing", b"", method="PUT"
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(upload, timeout=10)
    assert refused.value.code == (400 if configured else 403)  # no such session, or no cookie


@pytest.mark.parametrize("model", ["", "some/model"])
def test_the_space_s_variable_names_the_model(model: str, tmp_path: Path) -> None:
    """A command that prints what it is called with stands in for `sna-eval`."""
    stand_in = tmp_path / "sna-eval"
    stand_in.write_text('#!/bin/sh\necho "$@"\n')
    stand_in.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PORT": "7860"}
    (command,) = instructions("CMD")
    done = subprocess.run(
        json.loads(command), env={**environment, **({"MODEL": model} if model else {})},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    chosen = model or "sna-reference"
    expected = f"app --no_browser --host 0.0.0.0 --port 7860 --model {chosen}"
    assert done.stdout.split() == expected.split()
