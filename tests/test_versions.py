"""What is said about supported versions is what pyproject.toml asks for, everywhere it is said."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from try_versions import TOOLS, lowest_versions

ROOT = Path(__file__).resolve().parents[1]

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
PYTHONS = sorted(
    Version(entry.rpartition(" :: ")[2])
    for entry in PROJECT["classifiers"]
    if re.fullmatch(r"Programming Language :: Python :: \d\.\d+", entry)
)
ONE_BOUND = "expected one bound for each package"
_ROW = re.compile(r"^\| ([\w-]+) \| ([\d.]+) \| ([\d.]+) \|$", re.MULTILINE)


def bounds(requirements: list[str]) -> dict[str, str]:
    """What `packaging` reads as lower bounds."""
    found = {}
    for requirement in map(Requirement, requirements):
        (bound,) = requirement.specifier
        assert bound.operator == ">=", requirement
        found[requirement.name] = bound.version
    return found


def pins() -> dict[str, Version]:
    """The versions the tests run with, by name as in pyproject.toml."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    read = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {
        canonical(requirement.name): Version(next(iter(requirement.specifier)).version)
        for requirement in read
    }


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def documented() -> dict[str, tuple[Version, Version]]:
    page = (ROOT / "docs" / "versions.md").read_text()
    return {canonical(name): (Version(a), Version(b)) for name, a, b in _ROW.findall(page)}


def test_lowest_versions_are_the_bounds_of_what_users_get() -> None:
    lines = [*PROJECT["dependencies"]]
    for extra, requirements in EXTRAS.items():
        lines += [f'{requirement}; extra == "{extra}"' for requirement in requirements]
    users = [extra for extra in EXTRAS if extra not in TOOLS]
    expected = bounds([*PROJECT["dependencies"], *(r for extra in users for r in EXTRAS[extra])])
    assert lowest_versions(lines) == expected


@pytest.mark.parametrize("line", ["torch", "torch<3", "torch>=2.6,<3", "torch==2.6"])
def test_a_package_without_a_plain_lower_bound_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=ONE_BOUND):
        lowest_versions([line])
    with pytest.raises(ValueError, match=ONE_BOUND):
        lowest_versions(["ray>=2", 'ray>=3; extra == "ray"'])


def test_the_page_names_every_package_with_its_bound_and_what_is_tested() -> None:
    tested = pins()
    expected = {
        canonical(name): (Version(bound), tested[canonical(name)])
        for name, bound in bounds(PROJECT["dependencies"]).items()
    }
    assert documented() == {**expected, "python": (PYTHONS[0], PYTHONS[-1])}


def test_what_is_tested_is_within_the_bounds() -> None:
    for name, bound in bounds(PROJECT["dependencies"]).items():
        assert pins()[canonical(name)] >= Version(bound)


def test_python_is_the_same_everywhere() -> None:
    assert SpecifierSet(PROJECT["requires-python"]) == SpecifierSet(f">={PYTHONS[0]}")
    assert [python.minor - PYTHONS[0].minor for python in PYTHONS] == list(range(len(PYTHONS)))
    ends = {str(PYTHONS[0]), str(PYTHONS[-1])}
    assert f"Python ({PYTHONS[0]} to {PYTHONS[-1]};" in (ROOT / "README.md").read_text()
    check = _workflow("ci.yml")["check"]["strategy"]["matrix"]
    assert set(check["python"]) == ends
    slow = _workflow("slow.yml")["versions"]["strategy"]["matrix"]["include"]
    assert {(leg["python"], leg["target"]) for leg in slow} == {
        (str(PYTHONS[0]), "test-lowest"),
        (str(PYTHONS[-1]), "test-newest"),
    }


def _workflow(name: str) -> dict[str, Any]:
    text = (ROOT / ".github" / "workflows" / name).read_text()
    jobs: dict[str, Any] = yaml.safe_load(text)["jobs"]
    return jobs
