"""Model folders that are damaged: one line that names the model and the reason."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sna_eval.errors import InputError
from sna_eval.harness.lm import SNALM
from tests.conftest import build_model

Damage = Callable[[Path], Any]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, word_tokenizer: Any) -> Path:
    folder = tmp_path_factory.mktemp("model")
    build_model("gpt2", vocab_size=512).save_pretrained(folder)
    word_tokenizer.save_pretrained(folder)
    return folder


def cut(name: str, length: int) -> Damage:
    def damage(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:length])

    return damage


def replaced(name: str, content: bytes) -> Damage:
    return lambda folder: (folder / name).write_bytes(content)


def configured(**changes: Any) -> Damage:
    def damage(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | changes))

    return damage


DAMAGES: dict[str, Damage] = {
    "weights cut off": cut("model.safetensors", 5000),
    "weights empty": cut("model.safetensors", 0),
    "weights no tensors": replaced("model.safetensors", b"\x00" * 100),
    "weights a lie": replaced("model.safetensors", (2**62).to_bytes(8, "little") + b"{}"),
    "weights missing": lambda folder: (folder / "model.safetensors").unlink(),
    "config no JSON": replaced("config.json", b"{"),
    "config a list": replaced("config.json", b"[1]"),
    "config no text": replaced("config.json", b"\xff\xfe"),
    "config too deep": replaced("config.json", b"[" * 100_000),
    "config empty": replaced("config.json", b"{}"),
    "another architecture": configured(model_type="no_such_model"),
    "a type that is none": configured(model_type=5),
    "another width": configured(n_embd=64),
    "no heads": configured(n_head=0),
    "a width in words": configured(n_embd="wide"),
    "tokenizer no JSON": replaced("tokenizer.json", b"{"),
    "tokenizer a list": replaced("tokenizer.json", b"[]"),
    "tokenizer config no JSON": replaced("tokenizer_config.json", b"{"),
}


def test_the_folder_is_sound(saved: Path) -> None:
    assert SNALM(str(saved), gate="never").max_length == 64


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_model(damage: Damage, saved: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(saved, folder)
    damage(folder)
    with pytest.raises(InputError, match="pretrained: expected a model folder or hub na") as said:
        SNALM(str(folder), gate="never")
    assert str(folder) in str(said.value)
    assert "\n" not in str(said.value)
    assert len(str(said.value)) < 1000
