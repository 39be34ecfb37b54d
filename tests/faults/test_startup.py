"""The start-up hook: invisible without lm_eval, harmless alone, aside where it is not needed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def bare_python(program: str, *, site: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a program in a Python that knows no site but the given folder, and nothing of ours."""
    known = f"import site; site.addsitedir({str(site)!r})\n" if site else "import site\n"
    return _run("-I", "-S", "-c", known + program)


def test_left_behind_by_an_uninstalled_package(tmp_path: Path) -> None:
    """The `.pth` alone, its module gone: nothing is said and nothing happens."""
    shutil.copy(ROOT / "sna_eval.pth", tmp_path)
    done = bare_python("import sys; print('sna_eval_startup' in sys.modules)", site=tmp_path)
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_loads_nothing_else(tmp_path: Path) -> None:
    """Beside another package's path file, which makes Python load what it needs to read one."""
    for name in ("without", "with"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "another.pth").write_text("# nothing\n")
    for name in ("sna_eval.pth", "sna_eval_startup.py"):
        shutil.copy(ROOT / name, tmp_path / "with")
    program = "import sys; print(*sorted(sys.modules))"
    without = bare_python(program, site=tmp_path / "without")
    with_hook = bare_python(program, site=tmp_path / "with")
    added = set(with_hook.stdout.split()) - set(without.stdout.split())
    assert (added, with_hook.stderr) == ({"sna_eval_startup"}, "")


ONE_MODEL = """
import sys
from importlib.metadata import entry_points
(own,) = entry_points(group="lm_eval.models", name="sna")
from lm_eval.api.registry import model_registry
import lm_eval.models
"""
"""`own` is what an lm_eval that reads entry points registers."""


@pytest.mark.parametrize("first", ["the hook", "lm_eval"])
def test_agrees_with_an_lm_eval_that_reads_entry_points(first: str) -> None:
    """Whoever comes second changes nothing and collides with nothing."""
    by_hook = "from sna_eval_startup import register_model; register_model()"
    by_lm_eval = "model_registry.register('sna', target=own)"
    turns = [by_hook, by_lm_eval] if first == "the hook" else [by_lm_eval, by_hook]
    shown = "print([value == own for name, value in model_registry.items() if name == 'sna'])"
    done = _run("-c", "\n".join([ONE_MODEL, *turns, shown]), SNA_EVAL_NO_STARTUP="1")
    assert (done.stdout, done.stderr) == ("[True]\n", "")


NAMES = "print({'sna', 'hf'} <= set(model_registry.keys()), *sys.meta_path)"


def test_who_asks_where_lm_eval_lies_does_not_disarm_it() -> None:
    """`find_spec` runs no module; the import that follows still registers, and the hook leaves."""
    program = (
        "import sys, importlib.util; importlib.util.find_spec('lm_eval.models')\n"
        f"import lm_eval.models\nfrom lm_eval.api.registry import model_registry\n{NAMES}"
    )
    done = _run("-c", program)
    assert done.stdout.startswith("True "), done.stderr
    assert "_AfterLmEvalModels" not in done.stdout


def test_loaded_late_from_a_checkout_that_is_not_installed() -> None:
    """What `lm_eval run --plugins sna_eval_startup` does, no `.pth` file having been read."""
    places = [sysconfig.get_path("purelib"), str(ROOT)]
    program = (
        f"import sys; sys.path += {places!r}\n"
        "import lm_eval.models; assert 'sna_eval_startup' not in sys.modules\n"
        "import sna_eval_startup\n"
        f"from lm_eval.api.registry import model_registry\n{NAMES}"
    )
    done = bare_python(program)
    assert done.stdout.startswith("True "), done.stderr
    assert "_AfterLmEvalModels" not in done.stdout


def test_says_why_where_it_cannot_register(tmp_path: Path) -> None:
    """An lm_eval whose registry is not what it was goes on without `sna`, with one line."""
    shutil.copy(ROOT / "sna_eval_startup.py", tmp_path)
    (tmp_path / "lm_eval" / "models").mkdir(parents=True)
    for name in ("lm_eval/__init__.py", "lm_eval/models/__init__.py"):
        (tmp_path / name).write_text("")
    done = bare_python("import sna_eval_startup, lm_eval.models; print('on')", site=tmp_path)
    assert done.stdout == "on\n"
    assert done.stderr == (
        "sna-eval: model type 'sna' not registered: No module named 'lm_eval.api'\n"
    )


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env={**inherited, **environment},
        timeout=120,
        check=True,
    )
