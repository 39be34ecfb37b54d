"""No damaged or malicious file ends in a traceback, runs code or writes where it should not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostile.fuzz import Failure, broken, bugs, numbered
from tests.hostile.loaders import LOADERS

FEW, MANY = 200, 10_000


def failures(name: str, count: int, folder: Path) -> list[Failure]:
    loader = LOADERS[name]
    file = loader.lay_out(folder)

    def load(content: bytes) -> None:
        file.write_bytes(content)
        loader.load(folder)

    return broken(load, numbered(loader.seeds(), count))


def report(found: list[Failure]) -> str:
    return "\n".join(f"{place}: {bug}" for place, bug in bugs(found).items())


@pytest.mark.parametrize("name", LOADERS)
def test_valid_files_are_read(name: str, tmp_path: Path) -> None:
    """Otherwise nothing below would be tested but the first refusal."""
    loader = LOADERS[name]
    file = loader.lay_out(tmp_path)
    for seed in loader.seeds():
        file.write_bytes(seed.content)
        loader.load(tmp_path)


@pytest.mark.parametrize("name", LOADERS)
def test_a_few_cases(name: str, tmp_path: Path) -> None:
    found = failures(name, FEW, tmp_path)
    assert not found, report(found)


@pytest.mark.slow
@pytest.mark.parametrize("name", LOADERS)
def test_many_cases(name: str, tmp_path: Path) -> None:
    found = failures(name, MANY, tmp_path)
    assert not found, report(found)


def test_cases_are_the_same_every_time() -> None:
    seeds = LOADERS["plan"].seeds()
    assert dict(numbered(seeds, 50)) == dict(numbered(seeds, 50))
    assert len(set(dict(numbered(seeds, 50)).values())) > 40
