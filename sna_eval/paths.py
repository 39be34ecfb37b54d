"""Where the files that ship with the package lie, and paths as users type them.

Some of those name nothing, and some are no paths at all.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

REFERENCE_MODEL = "sna-reference"
"""The bundled model's name, and the model where none is named."""
REFERENCE_PLAN = "sna-reference"
"""The bundled plan for that model."""
_PACKAGE = Path(__file__).resolve().parent


def tasks_path() -> Path:
    """Folder of the bundled task YAMLs: inside the wheel, or beside the package in a checkout."""
    installed = _PACKAGE / "task_configs"
    return installed if installed.is_dir() else _PACKAGE.parent / "task_configs"


def plans_path() -> Path:
    """Folder of the bundled plans."""
    return _PACKAGE / "plans"


def reference_model_path() -> Path:
    """Folder of the bundled model, `REFERENCE_MODEL`."""
    return _PACKAGE / "reference"


def neutral_text_path() -> Path:
    """File of neutral reference sentences, one a line."""
    return _PACKAGE / "data" / "neutral.txt"


def unrelated_prompts_path() -> Path:
    """File of prompts that have nothing to do with one another, one a line."""
    return _PACKAGE / "data" / "unrelated_prompts.txt"


def architectures_path() -> Path:
    """File of the architectures that were tried, written by `scripts/architecture_matrix.py`."""
    return _PACKAGE / "data" / "architectures.json"


def expanded(typed: str | Path) -> Path:
    """With the home folder for `~`; the home of nobody stays as it was typed."""
    path = Path(typed)
    with suppress(RuntimeError):
        path = path.expanduser()
    return path


def is_file(path: Path) -> bool:
    """Whether there is a file; a name that no file can have is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether there is a folder."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False
