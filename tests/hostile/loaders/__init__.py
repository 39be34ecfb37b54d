"""Everything that reads files from outside, each with valid files to start from."""

from __future__ import annotations

from pathlib import Path

from tests.hostile.loaders import adapters, measured, plans, runs, stores, tasks
from tests.hostile.loaders.base import Loader

LOADERS: dict[str, Loader] = {
    **plans.LOADERS,
    **tasks.LOADERS,
    **runs.LOADERS,
    **stores.LOADERS,
    **adapters.LOADERS,
    **measured.LOADERS,
}


def laid_out(name: str, folder: Path, content: str | bytes) -> Path:
    """A loader's folder with the given content in its file."""
    file = LOADERS[name].lay_out(folder)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file
