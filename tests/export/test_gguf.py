"""Models from GGUF files in every command, against the same weights as safetensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from sna_eval.app.core.models import Shelf
from sna_eval.app.core.question import TypedQuestion
from sna_eval.app.core.saving import save_state
from sna_eval.app.core.setting import PromptSource, Setting
from sna_eval.cli import main
from sna_eval.errors import InputError
from sna_eval.export.formats import FORMATS
from sna_eval.harness.loading import load_lm
from sna_eval.plan import load_plan
from tests.export.conftest import SCALING_FORMATS, TASK
from tests.gguf_files import write_gguf

FILE = "tiny.gguf"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, model_folder: Any, word_tokenizer: Any) -> Path:
    """A folder that holds a GGUF file and nothing else."""
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("gguf")
    model = AutoModelForCausalLM.from_pretrained(model_folder("llama"), dtype=torch.float32)
    write_gguf(model, word_tokenizer, folder / FILE)
    return folder


def model_args(base: Path) -> str:
    return f"pretrained={base},gguf_file={FILE},dtype=float32,device=cpu"


@pytest.mark.parametrize("format", SCALING_FORMATS)
def test_exports_do_what_the_plan_does(
    format: str, base: Path, plan_file: Path, tmp_path: Path, scores: Any, capsys: Any
) -> None:
    words = ["export", "--plan", str(plan_file), "--task", TASK, "--format", format]
    out = tmp_path / "out"
    assert main([*words, "--output", str(out), "--model_args", model_args(base)]) == 0
    given = {"pretrained": str(base), "gguf_file": FILE}
    expected = scores("sna", plan=str(plan_file), **given)
    adapter = FORMATS[format].library == "peft"
    served = {**given, "peft": str(out)} if adapter else {"pretrained": str(out)}
    assert scores("hf", **served) == pytest.approx(expected, abs=1e-5)
    assert expected != pytest.approx(scores("hf", **given), abs=1e-3)

    text = (out / "README.md").read_text()
    record = json.loads((out / "sna_export.json").read_text())["base_model"]
    assert (record["name"], record["gguf_file"]) == (str(base), FILE)
    assert f"| GGUF file | `{FILE}` |" in text
    if adapter:
        config = json.loads((out / "adapter_config.json").read_text())
        assert config["base_model_name_or_path"] == str(base)
        assert f"--model_args pretrained={base},gguf_file={FILE},peft=" in text
    names: dict[str, Any] = {}
    code = text.split("```python\n")[1].split("```")[0]
    exec(code.replace("PATH/TO/THIS/FOLDER", str(out)), names)
    assert type(names["model"]).__name__.startswith(("Peft", "Llama"))


def test_a_merged_checkpoint_is_a_plain_one(base: Path, plan_file: Path, tmp_path: Path) -> None:
    """No quantizer goes along, and the model that was exported keeps its own."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from sna_eval.export import export_plan
    from tests.export.conftest import source_of

    model = AutoModelForCausalLM.from_pretrained(base, gguf_file=FILE)
    tokenizer = AutoTokenizer.from_pretrained(base, gguf_file=FILE)
    before = {name: one.clone() for name, one in model.state_dict().items()}
    source = source_of(base, model=model, tokenizer=tokenizer, gguf_file=FILE)
    folder = export_plan(source, tmp_path / "out", format="merged")
    assert "quantization_config" not in json.loads((folder / "config.json").read_text())
    assert type(model.hf_quantizer).__name__ == "GgufHfQuantizer"
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())


def test_identify_finds_what_it_finds_in_safetensors(
    base: Path, model_folder: Any, word_tokenizer: Any, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        f"version: 1\ntasks:\n  {TASK}:\n    interventions:\n"
        "      - {layer: 2, multiplier: 2.0, select: {top_k: 5}}\n"
    )
    folder = f"pretrained={model_folder('llama')},tokenizer={word_tokenizer.name_or_path}"
    found = []
    for name, given in (("gguf", model_args(base)), ("folder", f"{folder},dtype=float32")):
        out = tmp_path / f"{name}.yaml"
        words = ["identify", "--plan", str(plan), "--tasks", TASK, "--output", str(out)]
        assert main([*words, "--model_args", given]) == 0
        (entry,) = load_plan(out).tasks[TASK].interventions
        found.append(entry.neurons)
    assert found[0] == found[1] is not None


def test_sweep_then_select(base: Path, tmp_path: Path) -> None:
    store, plan = tmp_path / "store", tmp_path / "chosen.yaml"
    grid = ["--layers", "1,2", "--top_k", "3", "--multipliers", "1.5,3"]
    words = ["sweep", "--model_args", model_args(base), "--tasks", TASK, "--limit", "4", *grid]
    assert main([*words, "--output", str(store)]) == 0
    assert main(["select", str(store), "--output", str(plan)]) == 0
    load_lm(model_args(base), plan=str(plan))
    assert load_plan(plan).tasks[TASK].interventions[0].layer in (1, 2)


def test_a_plan_is_made_while_lm_eval_waits(base: Path, task_manager: Any) -> None:
    from lm_eval import simple_evaluate

    from sna_eval.harness.plugin.registration import register

    register()
    results = simple_evaluate(
        model="sna", model_args=f"{model_args(base)},plan=auto,auto_budget=4", tasks=[TASK],
        task_manager=task_manager, batch_size=4, limit=4, bootstrap_iters=0,
    )  # fmt: skip
    assert results["config"]["sna"]["plan_fingerprint"]
    assert set(results["config"]["sna"]["tasks"]) == {TASK}


def test_the_app_takes_the_file(base: Path) -> None:
    name = str(base / FILE)
    workspace = Shelf().get(name)
    assert workspace.sites.d_mlp == 64
    setting = Setting(PromptSource(TASK), layer=2, count=3, multiplier=2.0)
    saved = save_state(workspace, setting, [TypedQuestion("Five plus five is", " ten")])
    assert f"pretrained={base},gguf_file={FILE}" in saved.command
    assert yaml.safe_load(saved.plan)["model"]["name"] == name


def test_a_file_in_place_of_its_folder(base: Path) -> None:
    line = rf"pretrained: expected the folder of a GGUF file.*; pretrained={base},gguf_file={FILE}"
    with pytest.raises(InputError, match=line):
        load_lm(f"pretrained={base / FILE},device=cpu", gate="never")


def test_the_package_is_missing(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import modeling_gguf_pytorch_utils

    monkeypatch.setattr(modeling_gguf_pytorch_utils, "is_gguf_available", lambda *_: False)
    line = (
        "gguf_file: expected the package `gguf`, which reads such files, got .*; pip install gguf"
    )
    with pytest.raises(InputError, match=line):
        load_lm(model_args(base), gate="never")
