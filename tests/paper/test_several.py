"""Runs on several models beside one another."""

from __future__ import annotations

from pathlib import Path

import pytest

from sna_eval.cli import main
from sna_eval.errors import InputError
from sna_eval.paper.rules import Claim
from sna_eval.paper.several import FILE, Reproduced, load_reproduced, side_by_side

GAIN = Claim("mean gain", "27 %", "+0.1 %", "not reproduced", placebo="+0.2 %")
SHARED = Claim("shared", "0", "0", "not judged", about="model")


def _run(model: str, *claims: Claim) -> Reproduced:
    return Reproduced(model, f"sna-eval reproduce --model {model}", claims)


def test_a_column_for_each_model() -> None:
    other = Claim("mean gain", "27 %", "+30 %", "reproduced", placebo="-1 %")
    table = side_by_side([_run("some/first", GAIN, SHARED), _run("second", other)])
    assert table.splitlines() == [
        "| statement | published | first | second |",
        "| --- | --- | --- | --- |",
        "| mean gain | 27 % | +0.1 %; placebo +0.2 %: **not reproduced** "
        "| +30 %; placebo -1 %: **reproduced** |",
        "| shared | 0 | 0: **not judged** | not run |",
    ]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    run = _run("m", GAIN, SHARED)
    run.save(tmp_path)
    assert load_reproduced(tmp_path) == run


def test_another_folder_is_refused_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match="a folder that `sna-eval reproduce` wrote"):
        load_reproduced(tmp_path)
    output = tmp_path / "out"
    typed = ["reproduce", "--output", str(output), "--beside", str(tmp_path)]
    assert main(typed) == 2
    assert "beside: expected a folder that `sna-eval reproduce` wrote" in capsys.readouterr().err
    assert not output.exists()
    (tmp_path / FILE).write_text("{}")
    with pytest.raises(InputError, match=FILE):
        load_reproduced(tmp_path)
