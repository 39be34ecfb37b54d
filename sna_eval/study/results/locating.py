"""Finding result and sample files in what lm_eval writes.

lm_eval puts `results_DATE.json` and `samples_TASK_DATE.jsonl` side by side in a folder per model.
"""

from __future__ import annotations

from pathlib import Path

from lm_eval.utils import get_latest_filename, get_results_filenames

from sna_eval.errors import InputError
from sna_eval.given_paths import expanded, is_file, is_folder


def result_file(path: str | Path) -> Path:
    """The result file that a path means: itself, or the latest of the one model in a folder."""
    given = expanded(path)
    if is_file(given):
        return given
    if not is_folder(given):
        raise InputError(
            "compare", expected="a result file or a folder of lm_eval's", got=str(path),
            hint="check the path",
        )  # fmt: skip
    found = get_results_filenames([str(entry) for entry in sorted(given.rglob("*.json"))])
    folders = sorted({str(Path(name).parent) for name in found})
    if not found:
        raise InputError(
            "compare", expected="a folder with a results_*.json in it", got=str(path),
            hint="run lm_eval with --output_path",
        )  # fmt: skip
    if len(folders) > 1:
        raise InputError(
            "compare", expected="a folder with one model's results",
            got=f"{path} with {len(folders)}: {', '.join(Path(name).name for name in folders)}",
            hint="name one of them",
        )  # fmt: skip
    return Path(get_latest_filename([_dated(name) for name in found]) + ".json")


def sample_file(results: Path, task: str) -> Path | None:
    """The samples of a task that were written together with a result file.

    lm_eval names them `.jsonl`, the Open LLM Leaderboard's data sets of details `.json`.
    """
    date = results.stem.rpartition("_")[2]
    paths = [results.with_name(f"samples_{task}_{date}{suffix}") for suffix in (".jsonl", ".json")]
    return next((path for path in paths if is_file(path)), None)


def _dated(name: str) -> str:
    """Without the suffix, which lm_eval would count as part of the date."""
    return name.removesuffix(".json")
