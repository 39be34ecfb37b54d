"""Every command in README and docs that can run without a network is run here, as it stands.

Blocks marked `bash` are run, all of a page in one folder, in their order. Blocks marked `sh` need a
network, a server or another machine, and are not.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = {page: _BLOCK.findall(page.read_text(encoding="utf-8")) for page in PAGES}


@pytest.mark.docs
@pytest.mark.parametrize(
    "page", [page for page, block in BLOCKS.items() if block], ids=lambda p: p.stem
)
def test_commands_run(page: Path, tmp_path: Path) -> None:
    for name in ("examples", "scripts", "benchmarks", "task_configs"):
        (tmp_path / name).symlink_to(ROOT / name)
    script = "set -euo pipefail\n" + "\n".join(BLOCKS[page])
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=_environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_no_command_is_forgotten() -> None:
    """A block without a language would be neither run nor marked as one that is not."""
    for page in PAGES:
        fences = re.findall(r"^```(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        for opening in fences[::2]:
            assert opening in {"bash", "sh", "python", "yaml", "json", "text", "console"}, page.name


def _environment() -> dict[str, str]:
    """This Python's commands first; no network."""
    scripts = str(Path(sys.executable).parent)
    return {
        **os.environ,
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "HF_HUB_OFFLINE": "1",
    }
