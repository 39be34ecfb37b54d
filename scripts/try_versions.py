"""Runs the default tests with the lowest, or the newest, versions of what the package asks for.

    python scripts/try_versions.py lowest --python python3.10
    python scripts/try_versions.py newest --python python3.13

Makes a fresh environment (`.venv-lowest`, `.venv-newest`), prints the versions in it and ends with
the tests' status. The lowest versions are the lower bounds in pyproject.toml themselves: there is
no second list. What the named packages ask for in turn, and the tools of developers, come in the
newest versions that fit.

`--torch` takes another build or version of PyTorch than the lowest or newest; `--also` puts one
more package in at the end, whatever the bounds say: a development version of lm_eval, for example.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DISTRIBUTION = "sna-eval"
TOOLS = ("dev", "docs")  # extras that no user of the package needs
_BOUND = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?>=([0-9][0-9.]*)")
_EXTRA = re.compile(r"extra == ['\"]([^'\"]+)['\"]")

# Run by the environment's own Python.
_REQUIREMENTS = """
import sys
from importlib.metadata import requires
print(*requires(sys.argv[1]), sep="\\n")
"""
_VERSIONS = """
import platform, sys
from importlib.metadata import version
print("python", platform.python_version())
for name in sys.argv[1:]:
    print(name, version(name))
"""


def main() -> int:
    args = _arguments()
    folder = ROOT / f".venv-{args.versions}"
    subprocess.run([args.python, "-m", "venv", "--clear", str(folder)], check=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    _pip(python, "--upgrade", "pip")
    _pip(python, "--no-deps", "--editable", str(ROOT))
    bounds = lowest_versions(_output(python, _REQUIREMENTS, DISTRIBUTION).splitlines())
    held = dict(bounds) if args.versions == "lowest" else {}
    if args.torch:
        held.pop("torch", None)
        _pip(python, *shlex.split(args.torch))
    constraints = folder / "constraints.txt"
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in held.items()))
    _pip(python, "--constraint", str(constraints), "--editable", f"{ROOT}[dev]")
    if args.also:
        _pip(python, "--upgrade", args.also)
    print(_output(python, _VERSIONS, *bounds), flush=True)
    return _test(python, args.workers, args.pytest)


def lowest_versions(requirements: Iterable[str]) -> dict[str, str]:
    """What a user's packages are asked to be at least, by name.

    Takes the lines of a distribution's metadata, such as `name[part]>=1.2; extra == "ray"`. A line
    that says anything else than a lower bound is an error: its lowest version would not be known.
    """
    lowest: dict[str, str] = {}
    for line in requirements:
        wanted, _, condition = line.partition(";")
        extra = _EXTRA.search(condition)
        if extra and extra[1] in TOOLS:
            continue
        bound = _BOUND.fullmatch(wanted.strip())
        if bound is None or lowest.setdefault(bound[1], bound[2]) != bound[2]:
            raise ValueError(f"{line}: expected one bound for each package, as in name>=1.2")
    return lowest


def _pip(python: Path, *arguments: str) -> None:
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, *arguments], check=True)


def _output(python: Path, program: str, *arguments: str) -> str:
    command = [str(python), "-c", program, *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def _test(python: Path, workers: str, arguments: str) -> int:
    command = [str(python), "-m", "pytest", "--numprocesses", workers, *shlex.split(arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment).returncode


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("versions", choices=("lowest", "newest"))
    parser.add_argument("--python", default=sys.executable, help="interpreter to take")
    parser.add_argument("--torch", default="", help="what pip is told about PyTorch instead")
    parser.add_argument("--also", default="", help="a package put in last, against any bound")
    parser.add_argument("--workers", default="2", help="processes of pytest")
    parser.add_argument("--pytest", default="", help="what pytest is told further")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
