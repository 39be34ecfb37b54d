"""What processes of a launch say of an error: each message once, and none is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sna_eval import launched
from sna_eval.errors import InputError, report
from tests.devices.conftest import ROOT, environment, torchrun

FAILING = """
import sys, time
from sna_eval import errors, launched
_, patience, late, kind = sys.argv
launched.PATIENCE = float(patience)
errors.exit_cleanly_on_input_error()
time.sleep(float(late))
if kind == "input":
    raise errors.InputError("a", expected="b", got="c")
raise {"gone": RuntimeError("Connection closed by peer"), "bug": KeyError("left")}[kind]
"""


def process(
    folder: Path, rank: int, kind: str = "input", *, patience: float = 0.1, late: float = 0.0
) -> subprocess.Popen[str]:
    """A process of a launch by torchrun, as far as its environment tells."""
    of_rank = folder / str(rank)
    of_rank.mkdir(exist_ok=True)
    env = {
        **os.environ, "RANK": str(rank), "LOCAL_RANK": str(rank),
        "TORCHELASTIC_ERROR_FILE": str(of_rank / "error.json"),
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-c", FAILING, str(patience), str(late), kind],
        cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def said(process: subprocess.Popen[str], *, status: int = 2) -> str:
    """Everything on a process's standard error."""
    output = process.communicate(timeout=60)[1]
    assert process.returncode == status, output
    return output


def line(mark: str = "") -> str:
    return f"sna-eval: error: {mark}a: expected b, got 'c'\n"


@pytest.mark.parametrize("late", [(0, 0.3), (0.3, 0)])
def test_what_all_meet_is_said_by_the_first(tmp_path: Path, late: tuple[float, float]) -> None:
    both = [process(tmp_path, rank, patience=50, late=late[rank]) for rank in (0, 1)]
    assert [said(one) for one in both] == [line(), ""]


def test_it_is_said_once_though_the_first_comes_after_all(tmp_path: Path) -> None:
    assert said(process(tmp_path, 1)) == line("[rank 1] ")
    assert said(process(tmp_path, 0)) == ""


def test_what_another_meets_alone_carries_its_rank(tmp_path: Path) -> None:
    """And what PyTorch then raises in the first, since its peer is gone, adds nothing."""
    assert said(process(tmp_path, 1)) == line("[rank 1] ")
    assert said(process(tmp_path, 0, "gone")) == ""


@pytest.mark.parametrize("kind", ["gone", "bug"])
def test_other_exceptions_are_shown(tmp_path: Path, kind: str) -> None:
    """Of any kind where nobody has said anything, and bugs in any case."""
    if kind == "bug":
        said(process(tmp_path, 0))
    assert "Traceback" in said(process(tmp_path, 1, kind), status=1)


def test_a_launcher_without_a_folder(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launched, "PATIENCE", 0.2)
    for name in ("RANK", "TORCHELASTIC_ERROR_FILE"):
        monkeypatch.delenv(name, raising=False)
    for rank, mark in (("0", ""), ("2", "[rank 2] ")):
        monkeypatch.setenv("LOCAL_RANK", rank)
        report(InputError("a", expected="b", got="c"))
        assert capsys.readouterr().err == line(mark)
    assert not launched.over()


EMPTY_TARGET = """
task: own_odd
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/odd.jsonl}}}}
output_type: loglikelihood
test_split: test
doc_to_text: "{{{{text}}}}"
doc_to_target: "{{{{target}}}}"
metric_list: [{{metric: perplexity}}]
"""


@pytest.fixture
def odd_tasks(tmp_path: Path) -> Path:
    """A task whose second document, which is the second process's first, has an empty target."""
    rows = [{"text": "the cat sat", "target": target} for target in (" on", "", " a", " mat")]
    (tmp_path / "odd.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "odd.yaml").write_text(EMPTY_TARGET.format(folder=tmp_path))
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "mark", "message"),
    [
        ({}, "[rank 1] ", "own_odd: expected a target of at least one token"),
        ({"layer": 99}, "", "layer: expected a layer from 0 to 3"),
    ],
    ids=["met by one", "met by all"],
)
def test_a_group_ends_with_one_line(
    changes: dict[str, Any], mark: str, message: str, saved: Callable[[str], Path],
    odd_tasks: Path,
) -> None:  # fmt: skip
    arguments = {"pretrained": str(saved("gpt2")), "layer": 1, "neurons": "1;5", "multiplier": 2.0}
    job = {"model_args": {**arguments, "gate": "always", **changes}, "tasks": ["own_odd"],
           "include": [str(odd_tasks)], "limit": None, "output": "unused"}  # fmt: skip
    path = odd_tasks / "job.json"
    path.write_text(json.dumps(job))
    done = subprocess.run(
        [*torchrun(2), "-m", "tests.devices.evaluate", str(path)],
        cwd=ROOT, env=environment(), capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    lines = [one for one in done.stderr.splitlines() if one.startswith("sna-eval: error: ")]
    assert len(lines) == 1, done.stderr[-3000:]
    assert lines[0].startswith(f"sna-eval: error: {mark}")
    assert message in lines[0]
    assert "exitcode  : 2" in done.stderr
    assert done.stderr.count("Traceback") <= 1, "the launcher's own"
