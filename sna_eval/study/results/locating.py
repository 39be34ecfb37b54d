"""Finding result and sample files in what lm_eval writes.

lm_eval puts `results_DATE.json` and `samples_TASK_DATE.jsonl` side by side in a folder per model;
told `--output_path NAME.json`, it puts `NAME_DATE.json` and the samples into that path's folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from sna_eval.errors import InputError
from sna_eval.files import expanded, is_file, is_folder

_DATED = re.compile(r"(?P<name>.+)_(?P<date>\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(\.\d+)?)")
_SAMPLES = "samples_"


def result_file(path: str | Path) -> Path:
    """The result file that a path means: itself, the latest that lm_eval made of its name, or the
    latest of the one run in a folder.
    """
    given = expanded(path)
    if is_file(given):
        return given
    if not is_folder(given):
        written = _written_for(given)
        if not written:
            raise InputError(
                "compare", expected="a result file or a folder of lm_eval's", got=str(path),
                hint="check the path",
            )  # fmt: skip
        return _latest(written)
    found = [entry for entry in sorted(given.rglob("*.json")) if _holds_results(entry)]
    if not found:
        raise InputError(
            "compare", expected="a folder with a results_*.json in it", got=str(path),
            hint="run lm_eval with --output_path",
        )  # fmt: skip
    folders = sorted({entry.parent for entry in found})
    if len(folders) > 1:
        raise InputError(
            "compare", expected="a folder with one model's results",
            got=f"{path} with {len(folders)}: {', '.join(folder.name for folder in folders)}",
            hint="name one of them",
        )  # fmt: skip
    names = sorted({_named(entry) for entry in found})
    if len(names) > 1:
        raise InputError(
            "compare", expected="a folder with the results of one --output_path",
            got=f"{path} with {len(names)}: {', '.join(names)}",
            hint=f"name one of them, e.g. {folders[0] / names[0]}.json",
        )  # fmt: skip
    return _latest(found)


def sample_file(results: Path, task: str) -> Path | None:
    """The samples of a task that were written together with a result file.

    lm_eval names them `.jsonl`, the Open LLM Leaderboard's data sets of details `.json`.
    """
    date = _date(results)
    paths = [
        results.with_name(f"{_SAMPLES}{task}_{date}{suffix}") for suffix in (".jsonl", ".json")
    ]
    return next((path for path in paths if is_file(path)), None)


def sample_files(folder: Path) -> dict[str, Path]:
    """The sample files of a folder's newest run, by task.

    Without a result file, each task's newest.
    """
    runs = [_date(path) for path in folder.rglob("*.json") if _holds_results(path)]
    newest: dict[str, Path] = {}
    for path in sorted(folder.rglob(f"{_SAMPLES}*.jsonl"), key=lambda path: path.name):
        task, _, date = path.stem.removeprefix(_SAMPLES).rpartition("_")
        if not runs or date == max(runs):
            newest[task] = path
    return newest


def _written_for(given: Path) -> list[Path]:
    """What lm_eval has written for `--output_path GIVEN`, where that is no folder's name."""
    if given.suffix != ".json" or not is_folder(given.parent):
        return []
    beside = (path for path in sorted(given.parent.iterdir()) if path.suffix == ".json")
    dated = ((path, _DATED.fullmatch(path.stem)) for path in beside)
    return [path for path, found in dated if found is not None and found["name"] == given.stem]


def _holds_results(path: Path) -> bool:
    """By the name, which is all that tells result files from others in a folder."""
    if path.suffix != ".json" or path.name.startswith(_SAMPLES):
        return False
    return path.name.startswith("results_") or _DATED.fullmatch(path.stem) is not None


def _named(path: Path) -> str:
    """A result file's name without its date."""
    dated = _DATED.fullmatch(path.stem)
    return dated["name"] if dated else "results"


def _latest(paths: Iterable[Path]) -> Path:
    return max(paths, key=_date)


def _date(path: Path) -> str:
    return path.stem.rpartition("_")[2]
