"""Where the files that ship with the package lie."""

from __future__ import annotations

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


def architectures_path() -> Path:
    """File of the architectures that were tried, written by `scripts/architecture_matrix.py`."""
    return _PACKAGE / "data" / "architectures.json"
