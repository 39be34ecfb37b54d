"""The commands as a user types them: one line and status 2 for bad input, results otherwise."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sna_eval.cli import main, parser
from sna_eval.errors import InputError, exit_cleanly_on_input_error
from sna_eval.files import tasks_path
from sna_eval.plan import load_plan

BIN = Path(sys.executable).parent


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=300,
    )


def test_tasks_path(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks-path"]) == 0
    assert Path(capsys.readouterr().out.strip()) == tasks_path()
    assert (tasks_path() / "sna_all.yaml").is_file()


def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = ["--plan", str(tmp_path / "none.yaml"), "--tasks", "sna_math_easy"]
    assert main(["identify", *arguments, "--output", str(tmp_path / "out.yaml")]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("sna-eval: error: plan: expected a file, or one of")


def test_ctrl_c_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(args: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("sna_eval.cli.tasks_path.run", interrupted)
    assert main(["tasks-path"]) == 130
    assert capsys.readouterr().err == "sna-eval: stopped\n"


def test_what_a_terminal_cannot_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed in such a folder, the command ended in a traceback."""
    shown, complaints = (
        io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors=errors)
        for errors in ("strict", "replace")
    )
    monkeypatch.setattr("sys.stdout", shown)
    monkeypatch.setattr("sys.stderr", complaints)
    monkeypatch.setattr("sna_eval.cli.tasks_path.tasks_path", lambda: "/m\u00f6bel/\ud83e")
    assert main(["tasks-path"]) == 0
    shown.seek(0)
    assert shown.read() == "/m\\xf6bel/\\ud83e\n"
    assert complaints.errors == "replace"  # whoever chose something keeps it


@pytest.mark.parametrize(
    "words",
    [
        ["--model_args", "pretrained=a,dtype=float16", "--tasks", "x,y"],
        ["--model_args", "pretrained=a", "dtype=float16", "--tasks", "x", "y"],
    ],
)
@pytest.mark.parametrize("command", ["sweep", "identify", "interference", "methods", "diagnose"])
def test_flags_are_read_as_lm_eval_reads_them(command: str, words: list[str]) -> None:
    needed = {"identify": ["--plan", "p", "--output", "o"], "methods": ["--output", "o"],
              "interference": ["--plan", "p", "--output", "o"]}  # fmt: skip
    args = parser()[0].parse_args([command, *words, *needed.get(command, [])])
    assert (args.model_args, args.tasks) == ("pretrained=a,dtype=float16", "x,y")
    assert args.include_path is None


def test_every_flag_has_words() -> None:
    for name, one in parser()[1].items():
        for action in one._actions:
            assert action.help or name == "run" or not action.option_strings, (name, action.dest)


SELECTING = """
version: 1
tasks:
  "sna_math_*":
    interventions: [{layer: 2, multiplier: 2.0, select: {method: differential, top_k: 4}}]
"""


def test_identify_writes_a_resolved_plan(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "plan.yaml").write_text(SELECTING)
    output = tmp_path / "resolved.yaml"
    arguments = ["--plan", str(tmp_path / "plan.yaml"), "--tasks", "sna_math_easy,sna_math_hard"]
    assert main(["identify", *arguments, "--output", str(output)]) == 0
    assert "sna_math_easy: layer 2, x2.0, neurons {'all': 4}" in capsys.readouterr().out
    plan = load_plan(output)
    assert (plan.model.n_layers, plan.model.d_mlp) == (8, 768)
    assert set(plan.tasks) == {"sna_math_easy", "sna_math_hard"}
    for task in plan.tasks.values():
        (entry,) = task.interventions
        assert entry.select is None
        assert entry.neurons is not None
        assert entry.scores is not None
        assert entry.found is not None
        assert len(entry.neurons[""]) == len(entry.scores[""]) == 4
        assert {"model_hash", "prompt_hash", "method"} <= set(entry.found.to_dict())


def test_lm_eval_itself_ends_with_status_2_and_one_line(tmp_path: Path) -> None:
    done = run(
        "lm_eval", "--model", "sna", "--model_args", "layer=1,top_k=2,multiplier=2,low=0.5",
        "--tasks", "sna_math_easy", "--include_path", str(tasks_path()),
    )  # fmt: skip
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.strip().splitlines()[-1] == (
        "sna-eval: error: gate.low: expected at most gate.high = 0.1, got 0.5; "
        "swap the two: zone 1 lies below low, zone 3 above high"
    )


def test_only_input_errors_are_taken() -> None:
    exit_cleanly_on_input_error()
    hook = sys.excepthook
    exit_cleanly_on_input_error()
    assert sys.excepthook is hook  # once is enough
    with pytest.raises(SystemExit) as ended:
        hook(InputError, InputError("a", expected="b", got="c"), None)
    assert ended.value.code == 2
    hook(KeyError, KeyError("left to Python"), None)


LIST_MODELS = """
import sys
from lm_eval.api.registry import get_model, model_registry
from lm_eval.models import MODEL_MAPPING
names = set(model_registry.keys()) - set(MODEL_MAPPING)
print(sorted(names), get_model("hf").__name__, "sna_eval.harness.lm" in sys.modules)
"""


def test_start_up_adds_names_and_leaves_the_others() -> None:
    done = run("python", "-c", LIST_MODELS)
    added = ["sna", "sna-completions", "sna-vllm"]
    assert done.stdout.strip() == f"{added} HFLM False", done.stderr


def test_start_up_can_be_switched_off() -> None:
    from lm_eval.api import registry

    reads_entry_points = hasattr(registry, "import_plugins")
    extra = "['sna']" if reads_entry_points else "[]"
    done = run("python", "-c", LIST_MODELS, SNA_EVAL_NO_STARTUP="1")
    assert done.stdout.strip() == f"{extra} HFLM False", done.stderr


def test_a_python_without_lm_eval_notices_nothing() -> None:
    program = (
        "import sys; print([name for name in sys.modules if 'sna' in name or 'lm_eval' in name])"
    )
    done = run("python", "-c", program)
    assert done.stdout.strip() == "['sna_eval_startup']"
    assert done.stderr == ""


def test_get_model_loads_it() -> None:
    program = "from lm_eval.api.registry import get_model; print(get_model('sna').__name__)"
    assert run("python", "-c", program).stdout.strip() == "SNALM"
