"""What lm_eval writes is found by what the user typed: a folder, a file, or `--output_path`."""

from __future__ import annotations

from pathlib import Path

import pytest

from sna_eval.errors import InputError
from sna_eval.study.compare import read_run
from sna_eval.study.results.locating import result_file, sample_file, sample_files
from tests.study.results.conftest import FILTERS


def test_a_name_that_a_date_was_put_to(filtered_run: Path) -> None:
    assert not filtered_run.exists()
    for typed in (filtered_run, filtered_run.parent):
        file = result_file(typed)
        assert file.parent == filtered_run.parent
        assert file.name.startswith("mine_")
        assert set(sample_files(file.parent)) == set(FILTERS)
        assert all(sample_file(file, name) for name in FILTERS)
        assert set(read_run(typed).tasks) == set(FILTERS)


DATES = ("2026-01-01T00-00-00.000001", "2026-03-01T00-00-00.000001", "2026-02-01T00-00-00.000001")


def test_the_latest_of_one_name(tmp_path: Path) -> None:
    for date in DATES:
        (tmp_path / f"mine_{date}.json").touch()
        (tmp_path / f"mine_too_{date}.json").touch()
        (tmp_path / f"samples_mine_{date}.json").touch()
    assert result_file(tmp_path / "mine.json").name == f"mine_{DATES[1]}.json"
    assert result_file(tmp_path / "mine_too.json").name == f"mine_too_{DATES[1]}.json"
    with pytest.raises(InputError, match=r"one --output_path, got .* with 2: mine, mine_too"):
        result_file(tmp_path)


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ("./sub/../mine.json", "mine_{}.json"),
        ("sub/my.model.json", "sub/my.model_{}.json"),
        ("a_2026-02-02T00-00-00.1.json", "a_2026-02-02T00-00-00.1_{}.json"),
        ("results.json", "results_{}.json"),
        ("samples_x.json", "samples_x_{}.json"),
        ("é [1].json", "é [1]_{}.json"),
        ("~/mine.json", "mine_{}.json"),
        ("out.json", "out.json/model/results_{}.json"),  # a folder that was there before
    ],
)
def test_names_that_were_typed(
    typed: str, written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "sub").mkdir()
    file = tmp_path / written.format(DATES[0])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    assert result_file(typed).samefile(file)


@pytest.mark.parametrize("typed", ["mine.json", "none/mine.json", "mine", "results.json"])
def test_what_was_not_written(typed: str, tmp_path: Path) -> None:
    (tmp_path / "mine.json.bak").touch()
    (tmp_path / "mine_notes.json").touch()
    with pytest.raises(InputError, match="expected a result file or a folder of lm_eval's"):
        result_file(tmp_path / typed)
