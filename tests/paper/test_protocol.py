"""The protocol's steps are commands as they can be typed, and the first that fails ends it."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from sna_eval.cli import main, parser
from sna_eval.paper.protocol import ProtocolConfig, reproduce

ROOT = Path(__file__).resolve().parents[2]
NAMES = ["sweep", "sweep", "sweep", "select", "interference", "run"]


@pytest.mark.parametrize("grid", ["full", "small"])
def test_every_step_can_be_typed(grid: str, tmp_path: Path) -> None:
    config = ProtocolConfig("some/model", tmp_path, grid, limit=8)  # type: ignore[arg-type]
    top = parser()[0]
    steps = config.steps()
    assert [step[0] for step in steps] == NAMES
    for step in steps[:-1]:  # the flags of the last are lm_eval's
        args = top.parse_args(step)
        assert args.command == step[0]
        assert getattr(args, "limit", 8) == 8
    written = {Path(step[step.index("--output") + 1]) for step in steps[:-1]}
    assert {path.parent for path in written} == {tmp_path}
    assert len(written) == 5


@pytest.mark.parametrize("grid", ["full", "small"])
def test_a_placebo_is_the_same_protocol_with_random_rankings(grid: str, tmp_path: Path) -> None:
    config = ProtocolConfig("some/model", tmp_path, grid, placebos=2)  # type: ignore[arg-type]
    steps = config.placebo_steps()
    assert [step[0] for step in steps] == NAMES[:-1] * 2
    for step in steps:
        args = parser()[0].parse_args(step)
        if args.command == "sweep":
            assert args.select == "random"
            assert Path(args.output).parent == tmp_path / f"placebo-{args.seed}"
    assert not ProtocolConfig("m", tmp_path, placebos=0).placebo_steps()


def test_without_sst2_its_sweep_is_left_out(tmp_path: Path) -> None:
    steps = ProtocolConfig("m", tmp_path, with_sst2=False).steps()
    assert not any("sna_sst2" in word for step in steps for word in step)
    assert len(steps) == len(NAMES) - 1


def test_sentences_have_a_limit_of_their_own(tmp_path: Path) -> None:
    """Sweeps of generation tasks cost most: a few of their items, and all sentences."""
    config = ProtocolConfig("m", tmp_path, limit=8, sst2_limit=90)
    steps = [*config.steps(), *config.placebo_steps()]
    limits = {
        (step[step.index("--limit") + 1], "sna_sst2" in step) for step in steps if "--limit" in step
    }
    assert limits == {("8", False), ("90", True)}


def test_the_first_step_that_fails_ends_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[Sequence[str]] = []

    def command(step: Sequence[str]) -> int:
        ran.append(step)
        return 3 if step[0] == "select" else 0

    (tmp_path / "results").mkdir()
    assert reproduce(ProtocolConfig("sna-reference", tmp_path), command) == 3
    assert [step[0] for step in ran] == NAMES[:4]
    assert not (tmp_path / "results").exists()  # of a run before
    lines = capsys.readouterr().out.splitlines()
    assert [shlex.split(line) for line in lines] == [["$", "sna-eval", *step] for step in ran]


@pytest.mark.parametrize("status", [0, 2])
def test_zone_two_of_another_model_is_built_first_and_left_out_where_it_is_empty(
    status: int, tmp_path: Path
) -> None:
    ran: list[Sequence[str]] = []

    def command(step: Sequence[str]) -> int:
        ran.append(step)
        return {"transition": status, "select": 3}.get(step[0], 0)

    assert reproduce(ProtocolConfig("m", tmp_path), command) == 3
    assert [step[0] for step in ran][:2] == ["transition", "sweep"]
    built = parser()[0].parse_args(ran[0])
    swept = [parser()[0].parse_args(step) for step in ran if step[0] == "sweep"]
    over = [options for options in swept if options.tasks == built.name]
    assert len(over) == (status == 0)
    assert all(options.include_path == built.output for options in over)
    assert not any(options.tasks == "sna_transition" for options in swept)


def test_what_was_typed_is_said_without_its_folder(tmp_path: Path) -> None:
    config = ProtocolConfig("my model", tmp_path, "small", limit=8, sst2_limit=90, placebos=3)
    words = shlex.split(config.typed())
    args = parser()[0].parse_args(words[1:])
    assert (args.command, args.model, args.grid) == ("reproduce", "my model", "small")
    assert (args.limit, args.sst2_limit, args.placebos) == (8, 90, 3)
    assert str(tmp_path) not in words


def test_the_command_hands_over_what_was_typed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found: list[ProtocolConfig] = []

    def kept(config: ProtocolConfig, command: object) -> int:
        assert command is main
        found.append(config)
        return 0

    monkeypatch.setattr("sna_eval.paper.protocol.reproduce", kept)
    monkeypatch.setenv("SNA_EVAL_SST2", str(tmp_path / "nowhere"))
    assert main(["reproduce", "--grid", "small", "--output", str(tmp_path)]) == 0
    assert found == [ProtocolConfig("sna-reference", tmp_path, "small", with_sst2=False)]
    assert "sna_sst2 is left out" in capsys.readouterr().out


def test_its_old_name_says_the_same() -> None:
    script = [sys.executable, str(ROOT / "scripts" / "reproduce_paper.py"), "--grid", "none"]
    done = subprocess.run(script, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert "sna-eval reproduce: error: argument --grid: invalid choice" in done.stderr
