"""Exports load where this package cannot be imported, with stock PEFT and transformers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from sna_eval.export import layer_scalings
from sna_eval.intervention import Intervention, amplify
from tests.conftest import token_ids
from tests.export.conftest import PLAN, source_of

_SCRIPT = """
import json, sys
sys.modules["sna_eval"] = None  # importing it would fail
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base, folders, ids = json.loads(sys.argv[1])
logits = {}
with torch.no_grad():
    for kind, folder in folders.items():
        if kind == "merged":
            model = AutoModelForCausalLM.from_pretrained(folder)
            AutoTokenizer.from_pretrained(folder)
        else:
            model = AutoModelForCausalLM.from_pretrained(base)
            model = PeftModel.from_pretrained(model, folder)
        logits[kind] = model.eval()(torch.tensor(ids)).logits[0, -1].tolist()
print(json.dumps(logits))
"""


@pytest.fixture(scope="module")
def alone(model_folder: Any, tmp_path_factory: Any) -> dict[str, Any]:
    """Last logits of each export, from a process of its own, and with hooks from this one."""
    from sna_eval.export import export_plan

    folder, ids = model_folder("gpt2"), token_ids(1, 9, vocabulary=100)
    source = source_of(folder)
    target = tmp_path_factory.mktemp("alone")
    folders = {
        kind: str(export_plan(source, target / kind, format=kind))
        for kind in ("ia3", "lora", "merged")
    }
    task = json.dumps([str(folder), folders, ids.tolist()])
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, task],
        cwd=target, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    hooks = [
        Intervention(scaling.layer, (neuron,), factor)
        for scaling in layer_scalings(PLAN)
        for neuron, factor in scaling.factors.items()
    ]
    with torch.no_grad(), amplify(source.model.eval(), hooks):
        expected = source.model(ids).logits[0, -1]
    return {"expected": expected, "got": json.loads(done.stdout.splitlines()[-1])}


@pytest.mark.parametrize("kind", ["ia3", "lora", "merged"])
def test_loads_without_this_package(kind: str, alone: dict[str, Any]) -> None:
    got = torch.tensor(alone["got"][kind])
    assert torch.allclose(got, alone["expected"], atol=1e-5, rtol=1e-6)


def test_no_pickle_is_written(model_folder: Any, export: Any) -> None:
    for kind in ("ia3", "lora", "merged"):
        suffixes = {path.suffix for path in Path(export(model_folder("gpt2"), kind)).iterdir()}
        assert suffixes <= {".json", ".safetensors", ".md", ".txt"}
