"""Where SST-2 is looked for: where it was said, beside the working folder, in the hub."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from sna_eval.errors import InputError
from sna_eval.harness.datasets import SST2_VARIABLE, load_sst2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "shared" / "data" / "sst2"
    folder.mkdir(parents=True)
    for name, count in (("train", 3), ("dev", 2)):
        rows = (f"{name} sentence {number}\t{number % 2}\n" for number in range(count))
        (folder / f"{name}.tsv").write_text("".join(rows))
    return folder


def test_it_is_named_by_argument_or_variable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SST2_VARIABLE, raising=False)
    by_argument = load_sst2(sst2_dir=str(folder))
    assert by_argument["development"]["sentence"] == [f"train sentence {n}" for n in range(3)]
    assert by_argument["test"]["label"] == [0, 1]
    monkeypatch.setenv(SST2_VARIABLE, str(folder))
    assert load_sst2()["test"]["sentence"] == by_argument["test"]["sentence"]


def test_it_is_found_beside_the_working_folder_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SST2_VARIABLE, "")
    monkeypatch.setattr("datasets.load_dataset", _unreachable)
    project = folder.parents[2] / "project"
    (project / "part").mkdir(parents=True)
    monkeypatch.chdir(project)
    assert load_sst2()["test"]["label"] == [0, 1]
    for place in (folder.parents[2], project / "part"):
        monkeypatch.chdir(place)
        with pytest.raises(InputError, match=r"sna_sst2: expected the data set .*SNA_EVAL_SST2"):
            load_sst2()


def test_a_folder_without_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SST2_VARIABLE, str(tmp_path))
    with pytest.raises(InputError, match=r"sst2_dir: expected a folder with .*SNA_EVAL_SST2 names"):
        load_sst2()


def _unreachable(name: str) -> None:
    raise ConnectionError(name)


def test_only_other_tasks_are_told_of_arguments(caplog: pytest.LogCaptureFixture) -> None:
    """lm_eval logs the first two at every task with a data set of its own making."""
    logger = logging.getLogger("lm_eval.api.task")
    logger.warning("sna_math_easy: Custom kwargs can be passed to `--metadata`")
    logger.warning("other: Custom kwargs can be passed to `--metadata`")
    logger.warning("sna_math_easy: something else")
    assert [record.getMessage()[:9] for record in caplog.records] == ["other: Cu", "sna_math_"]
