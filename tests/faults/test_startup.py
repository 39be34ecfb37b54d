"""The start-up hook: invisible without lm_eval, harmless without the package, and quick."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def python(program: str, path: Path) -> subprocess.CompletedProcess[str]:
    """Runs a program in a Python that knows the given folder as a site, and nothing of ours."""
    code = f"import site; site.addsitedir({str(path)!r})\n{program}"
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        timeout=60,
        check=True,
    )


def test_left_behind_by_an_uninstalled_package(tmp_path: Path) -> None:
    """The `.pth` alone, its module gone: nothing is said and nothing happens."""
    shutil.copy(ROOT / "sna_eval.pth", tmp_path)
    done = python("import sys; print('sna_eval_startup' in sys.modules)", tmp_path)
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_imports_nothing_else(tmp_path: Path) -> None:
    for name in ("sna_eval.pth", "sna_eval_startup.py"):
        shutil.copy(ROOT / name, tmp_path)
    program = "import sys; print(sorted(n for n in sys.modules if 'sna' in n or 'lm_eval' in n))"
    done = python(program, tmp_path)
    assert (done.stdout, done.stderr) == ("['sna_eval_startup']\n", "")


def test_steps_aside_where_the_model_is_known_already(tmp_path: Path) -> None:
    """A release of lm_eval that reads entry points has registered `sna` itself."""
    shutil.copy(ROOT / "sna_eval_startup.py", tmp_path)
    package = tmp_path / "lm_eval"
    (package / "models").mkdir(parents=True)
    (package / "api").mkdir()
    (package / "__init__.py").write_text("")
    (package / "api" / "__init__.py").write_text("")
    (package / "api" / "registry.py").write_text(
        "class Registry(dict):\n"
        "    def register(self, name, target=None): raise SystemExit('registered twice')\n"
        "model_registry = Registry()\n"
    )
    (package / "models" / "__init__.py").write_text(
        "from lm_eval.api.registry import model_registry\nmodel_registry['sna'] = 'its own'\n"
    )
    program = (
        "import sna_eval_startup, lm_eval.models\n"
        "from lm_eval.api.registry import model_registry\nprint(model_registry['sna'])"
    )
    assert python(program, tmp_path).stdout == "its own\n"
