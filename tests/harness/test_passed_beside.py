"""Model arguments that lm_eval has flags for too, and passes beside them whether typed or not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lm_eval.evaluator import simple_evaluate
from lm_eval.tasks import TaskManager

from sna_eval.cli import main
from sna_eval.errors import InputError
from sna_eval.files import tasks_path
from sna_eval.harness.lm import SNALM
from sna_eval.serving.completions import SNACompletions

PLAIN = "pretrained=sna-reference,gate=never"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What models are made of, without making them."""
    found: list[dict[str, Any]] = []
    for kind in (SNALM, SNACompletions):
        monkeypatch.setattr(kind, "__init__", lambda self, **given: found.append(given))
    return found


FROM_THE_COMMAND = {"batch_size": 1, "max_batch_size": None, "device": "cuda:0"}
"""What lm_eval's command passes where no flag is typed."""


@pytest.mark.parametrize("kind", [SNALM, SNACompletions])
@pytest.mark.parametrize(
    ("given", "passed", "batch_size", "device"),
    [
        ({}, FROM_THE_COMMAND, 1, "cuda:0"),
        ({"device": "cpu"}, FROM_THE_COMMAND, 1, "cpu"),
        ({"batch_size": 4}, FROM_THE_COMMAND, 4, "cuda:0"),
        ({"batch_size": "auto"}, FROM_THE_COMMAND, "auto", "cuda:0"),
        ({"device": "cpu"}, {**FROM_THE_COMMAND, "device": "cpu"}, 1, "cpu"),
        ({"batch_size": 8}, {**FROM_THE_COMMAND, "batch_size": "8"}, 8, "cuda:0"),
        ({"batch_size": 8, "device": "cpu"}, {"batch_size": None, "device": None}, 8, "cpu"),
        ({"batch_size": 8, "device": "cpu"}, None, 8, "cpu"),
    ],
)
def test_what_the_model_arguments_say_counts(
    made: list[dict[str, Any]], kind: Any, given: Any, passed: Any, batch_size: Any, device: Any
) -> None:
    kind.create_from_arg_obj({"pretrained": "x", **given}, passed)
    kind.create_from_arg_string(",".join(f"{n}={v}" for n, v in given.items()), passed)
    for arguments in made:
        assert str(arguments.get("batch_size")) == str(batch_size)
        assert arguments.get("device") == device
    assert len(made) == 2
    assert "max_batch_size" not in made[0]


@pytest.mark.parametrize(
    ("given", "name", "flag"),
    [
        ("device=cpu", "device", "cuda:1"),
        ("batch_size=4", "batch_size", "16"),
        ("max_batch_size=4", "max_batch_size", 16),
        ("batch_size=4", "batch_size", "auto"),
        ("batch_size=4", "batch_size", "1"),  # typed; not typed it is a number
    ],
)
def test_a_flag_that_says_something_else(given: str, name: str, flag: Any) -> None:
    match = rf"model_args\.{name}: expected no other than --{name} {flag}, got .*name one of them"
    with pytest.raises(InputError, match=match):
        SNALM.create_from_arg_string(f"{PLAIN},{given}", {**FROM_THE_COMMAND, name: flag})


def test_as_it_is_typed(tmp_path: Path) -> None:
    """lm_eval's own `hf` ends such a command in a traceback."""
    words = ["--tasks", "sna_logic_hard", "--limit", "2", "--output_path", str(tmp_path / "o.json")]
    assert main(["run", "--model_args", f"{PLAIN},device=cpu,batch_size=2", *words]) == 0
    (found,) = tmp_path.glob("o_*.json")
    arguments = json.loads(found.read_text())["config"]["model_args"]
    assert (arguments["device"], arguments["batch_size"]) == ("cpu", 2)


def test_from_python() -> None:
    arguments = {"pretrained": "sna-reference", "gate": "never", "batch_size": 2}
    manager = TaskManager(include_path=[tasks_path()], include_defaults=False)
    found = simple_evaluate(
        model="sna", model_args=arguments, tasks=["sna_logic_hard"], task_manager=manager,
        limit=2, bootstrap_iters=0, device="cpu",
    )  # fmt: skip
    assert found["results"]["sna_logic_hard"]["prob,none"] > 0
