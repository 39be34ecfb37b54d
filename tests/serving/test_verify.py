"""`sna-eval verify` finds what a served copy does not do, and passes one that does it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from sna_eval.cli import main
from sna_eval.export import export_plan
from tests.export.conftest import source_of
from tests.serving.completions_server import Engine, serving


def _verify(*words: object, capsys: Any) -> tuple[int, str]:
    status = main(["verify", *map(str, words)])
    said = capsys.readouterr()
    return status, said.out + said.err


@pytest.mark.parametrize("format", ["lora", "ia3", "merged"])
def test_a_local_copy(format: Any, model_folder: Any, tmp_path: Path, capsys: Any) -> None:
    folder = export_plan(source_of(model_folder("llama")), tmp_path / "out", format=format)
    status, said = _verify(folder, "--local", "--texts", 8, capsys=capsys)
    assert status == 0, said
    assert "served 1.000 times that" in said
    assert "8 of 8 decisions alike" in said


def test_model_arguments_of_a_plan_are_no_plan(
    model_folder: Any, tmp_path: Path, capsys: Any
) -> None:
    """What is verified is the export's own; the reference may be typed as for an evaluation."""
    folder = export_plan(source_of(model_folder("llama")), tmp_path / "out", format="ia3")
    arguments = "gate=margin,report_baseline=True,device=cpu,batch_size=2"
    words = ("--local", "--texts", 4, "--model_args", arguments)
    status, said = _verify(folder, *words, capsys=capsys)
    assert status == 0, said


def test_a_served_copy(export_folder: Path, url: str, capsys: Any) -> None:
    words = (export_folder, "--url", url, "--base", "base", "--adapter", "sna", "--texts", 8)
    status, said = _verify(*words, capsys=capsys)
    assert status == 0, said
    assert "\nverified\n" in said


def test_both_models_mixed_up_in_a_batch(
    export_folder: Path, url: str, engine: Engine, capsys: Any
) -> None:
    engine.mixes = True
    words = (export_folder, "--url", url, "--base", "base", "--adapter", "sna", "--texts", 8)
    status, said = _verify(*words, capsys=capsys)
    assert status == 1
    assert engine.met
    (problem,) = [line for line in said.splitlines() if line.startswith("PROBLEM")]
    assert "asked at the same time answer otherwise than apart" in problem


def test_not_loaded(export_folder: Path, url: str, capsys: Any) -> None:
    words = (export_folder, "--url", url, "--base", "base", "--adapter", "gone", "--texts", 8)
    status, said = _verify(*words, capsys=capsys)
    assert status == 1
    assert "PROBLEM: not loaded: the server has no model called gone (base, sna)" in said


def test_a_name_that_is_ignored(export_folder: Path, url: str, engine: Engine, capsys: Any) -> None:
    engine.names["sna"] = False
    words = (export_folder, "--url", url, "--base", "base", "--adapter", "sna", "--texts", 8)
    status, said = _verify(*words, capsys=capsys)
    assert status == 1
    assert "PROBLEM: no-op" in said


def test_another_base(
    export_folder: Path, model_folder: Any, word_tokenizer: Any, capsys: Any
) -> None:
    other = Engine(model_folder("llama", rms_norm_eps=0.5), export_folder, word_tokenizer)
    with serving(other) as url:
        words = (export_folder, "--url", url, "--base", "base", "--adapter", "sna", "--texts", 8)
        status, said = _verify(*words, capsys=capsys)
    assert status == 1
    assert "PROBLEM: the base model is another" in said


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_scaled_wrongly(
    scale: float, export_folder: Path, model_folder: Any, word_tokenizer: Any, tmp_path: Path,
    capsys: Any,
) -> None:  # fmt: skip
    scaled = tmp_path / "scaled"
    scaled.mkdir()
    config = json.loads((export_folder / "adapter_config.json").read_text())
    (scaled / "adapter_config.json").write_text(json.dumps(config))
    tensors = load_file(export_folder / "adapter_model.safetensors")
    changed = {
        name: tensor * scale if "lora_B" in name else tensor for name, tensor in tensors.items()
    }
    save_file(changed, scaled / "adapter_model.safetensors")
    with serving(Engine(model_folder("llama"), scaled, word_tokenizer)) as url:
        words = (export_folder, "--url", url, "--base", "base", "--adapter", "sna", "--texts", 8)
        status, said = _verify(*words, capsys=capsys)
    assert status == 1
    assert "times as strongly as the plan" in said


def test_an_export_for_other_weights(export_folder: Path, model_folder: Any, capsys: Any) -> None:
    other = model_folder("llama", tie_word_embeddings=True)
    status, said = _verify(
        export_folder, "--local", "--texts", 8, "--model_args", f"pretrained={other}", capsys=capsys
    )
    assert status == 1
    assert "PROBLEM: the model loaded here has other weights" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["/nowhere", "--local"], "export: expected a folder of `sna-eval export`"),
        (["x", "--url", "http://127.0.0.1:9/v1", "--adapter", "sna"], "base: expected a name"),
        (["x", "--local", "--texts", "1"], "texts: expected 2 or more"),
        (["x", "--local", "--tolerance", "0"], "tolerance: expected more than 0"),
    ],
)
def test_bad_input(words: list[str], message: str, capsys: Any) -> None:
    status, said = _verify(*words, capsys=capsys)
    assert status == 2
    assert message in said
