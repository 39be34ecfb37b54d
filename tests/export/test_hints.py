"""Whoever follows a hint of `export` is never sent back to where they came from."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from sna_eval.cli import main
from sna_eval.errors import InputError
from sna_eval.export import export_plan
from tests.export.conftest import SCALING_FORMATS, source_of


def quantized(model: Any, method: str) -> None:
    model.hf_quantizer = SimpleNamespace()
    model.config.quantization_config = SimpleNamespace(quant_method=method, to_dict=dict)


def packed(model: Any) -> None:
    """As kernels leave a quantized projection: its numbers are no weights."""
    for block in model.model.layers:
        codes = torch.zeros(block.mlp.down_proj.weight.shape, dtype=torch.uint8)
        block.mlp.down_proj.weight = torch.nn.Parameter(codes, requires_grad=False)


def bnb(model: Any) -> None:
    quantized(model, "bitsandbytes")
    packed(model)


def gguf_packed(model: Any) -> None:
    quantized(model, "gguf")
    packed(model)


def offloaded(model: Any) -> None:
    from accelerate import cpu_offload

    cpu_offload(model, execution_device=torch.device("cpu"))


def unpacked(model: Any) -> None:
    quantized(model, "gguf")


def plain(model: Any) -> None:
    """Nothing about it is special."""


def half(model: Any) -> None:
    model.half()


MODELS = [plain, unpacked, gguf_packed, bnb, offloaded, half]


def followed(export: Any, format: str) -> list[str]:
    """The formats that one is led through, beginning with `format`."""
    path = [format]
    while True:
        try:
            export(path[-1])
            return path
        except InputError as error:
            hinted = re.search(r"--format (\w+)", error.hint)
        if hinted is None:
            return path
        assert hinted[1] not in path, f"{path} leads back to {hinted[1]}"
        path.append(hinted[1])


@pytest.mark.parametrize("format", SCALING_FORMATS)
@pytest.mark.parametrize("change", MODELS)
def test_no_hint_leads_back(change: Any, format: str, model_folder: Any, tmp_path: Path) -> None:
    def export(name: str) -> None:
        source = source_of(model_folder("llama"))
        change(source.model)
        export_plan(source, tmp_path / f"{name}{len(list(tmp_path.iterdir()))}", format=name)

    path = followed(export, format)
    export(path[-1])  # and where one is led to, it works


@pytest.mark.parametrize("format", SCALING_FORMATS)
@pytest.mark.parametrize("name", ["delta", "subfolder"])
def test_no_hint_about_the_base_names_another_format(
    format: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A base that an adapter cannot name may be quantized too, and cannot be merged then."""
    words = ["export", "--model_args", f"pretrained=sna-reference,{name}=x", "--task", "t"]
    words += ["--plan", "sna-reference", "--output", str(tmp_path / "out"), "--format", format]
    assert main(words) == 2
    assert "--format" not in capsys.readouterr().err
