"""The files themselves: what is in them, and what is refused."""

from __future__ import annotations

import json
import resource
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from sna_eval.errors import InputError, writing
from sna_eval.export import RECORD_NAME, Source, export_plan, layer_scalings
from sna_eval.export.formats import FORMATS
from sna_eval.gating import Gate
from sna_eval.plan import PlannedIntervention, TaskPlan
from sna_eval.registry import module_names
from tests.export.conftest import PLAN, TASK, source_of

D_MLP = {"gpt2": 128, "llama": 64}


def config_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "adapter_config.json").read_text())


def projection(state: dict[str, torch.Tensor], name: str, layer: int) -> torch.Tensor:
    """A layer's output projection, `[d_model, d_mlp]`."""
    if name == "gpt2":
        return state[f"transformer.h.{layer}.mlp.c_proj.weight"].T
    return state[f"model.layers.{layer}.mlp.down_proj.weight"]


@pytest.mark.parametrize("name", D_MLP)
def test_ia3_is_the_vector(name: str, model_folder: Any, export: Any) -> None:
    folder = export(model_folder(name), "ia3")
    vectors = load_file(folder / "adapter_model.safetensors")
    assert len(vectors) == 2
    first = next(vector for key, vector in vectors.items() if ".1." in key)
    expected = torch.ones(1, D_MLP[name])
    expected[0, [3, 17]], expected[0, 5], expected[0, 40] = 2.5, 1.7, 2.5 * 1.7
    assert torch.equal(first, expected)
    config = config_of(folder)
    assert config["feedforward_modules"] == config["target_modules"]
    assert config["fan_in_fan_out"] == (name == "gpt2")


@pytest.mark.parametrize("name", D_MLP)
def test_lora_adds_the_scaled_columns(name: str, model_folder: Any, export: Any) -> None:
    folder = export(model_folder(name), "lora")
    tensors = load_file(folder / "adapter_model.safetensors")
    base = load_file(model_folder(name) / "model.safetensors")
    for scaling in layer_scalings(PLAN):
        made = [tensor for key, tensor in sorted(tensors.items()) if f".{scaling.layer}." in key]
        down, up = made
        weight = projection(base, name, scaling.layer)
        delta = weight * scaling.vector(D_MLP[name]) - weight
        assert (up @ down - delta).abs().max() < 1e-6
        assert torch.linalg.matrix_rank(up @ down) == len(scaling.neurons)


def test_lora_has_one_rank_and_no_scaling_of_its_own(model_folder: Any, export: Any) -> None:
    folder = export(model_folder("llama"), "lora")
    config = config_of(folder)
    assert (config["r"], config["lora_alpha"], config["use_rslora"]) == (4, 4, False)
    assert config["rank_pattern"] == config["alpha_pattern"] == {}
    shapes = {t.shape for t in load_file(folder / "adapter_model.safetensors").values()}
    assert shapes == {(4, 64), (32, 4)}


@pytest.mark.parametrize(
    ("name", "target"), [("llama", "down_proj"), ("gpt2", "mlp.c_proj"), ("opt", "fc2")]
)
def test_lora_names_projections_as_engines_do(
    name: str, target: str, model_folder: Any, export: Any
) -> None:
    config = config_of(export(model_folder(name), "lora"))
    assert config["target_modules"] == [target]
    assert config["layers_to_transform"] == [1, 3]


@pytest.mark.parametrize("name", D_MLP)
def test_merged_changes_these_columns_alone(name: str, model_folder: Any, export: Any) -> None:
    base = load_file(model_folder(name) / "model.safetensors")
    merged = load_file(export(model_folder(name), "merged") / "model.safetensors")
    assert merged.keys() == base.keys()
    changed = {key for key in base if not torch.equal(base[key], merged[key])}
    assert len(changed) == 2
    for scaling in layer_scalings(PLAN):
        before, after = (projection(state, name, scaling.layer) for state in (base, merged))
        columns = (before != after).any(dim=0).nonzero().flatten().tolist()
        assert columns == list(scaling.neurons)
        for neuron, factor in scaling.factors.items():
            assert torch.equal(after[:, neuron], (before[:, neuron].double() * factor).float())


@pytest.mark.parametrize("format", ["ia3", "lora", "merged"])
def test_the_loaded_model_is_not_changed(format: Any, model_folder: Any, tmp_path: Path) -> None:
    source = source_of(model_folder("gpt2"))
    before = {key: tensor.clone() for key, tensor in source.model.state_dict().items()}
    export_plan(source, tmp_path / "out", format=format)
    after = source.model.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_merged_keeps_the_dtype(model_folder: Any, export: Any) -> None:
    model = AutoModelForCausalLM.from_pretrained(model_folder("llama"), dtype=torch.float16)
    folder = export(model_folder("llama"), "merged", model=model)
    assert AutoModelForCausalLM.from_pretrained(folder).dtype == torch.float16


def test_overflow_is_refused(model_folder: Any, export: Any) -> None:
    plan = TaskPlan(Gate(), (PlannedIntervention(1, 1e8, neurons={"": (3,)}),))
    model = AutoModelForCausalLM.from_pretrained(model_folder("llama"), dtype=torch.float16)
    with pytest.raises(InputError, match=r"scaled weights that torch\.float16 can hold"):
        export(model_folder("llama"), "merged", plan, model=model)


@pytest.mark.parametrize("format", ["lora", "merged"])
def test_weights_must_be_at_hand(format: Any, model_folder: Any, export: Any) -> None:
    model = AutoModelForCausalLM.from_pretrained(model_folder("llama"))
    projection = model.model.layers[1].mlp.down_proj
    projection.weight = torch.nn.Parameter(
        torch.zeros(32, 64, dtype=torch.int8), requires_grad=False
    )
    with pytest.raises(InputError, match=r"expected a weight in memory.*use --format ia3"):
        export(model_folder("llama"), format, model=model)


def test_ia3_needs_no_weights(model_folder: Any, export: Any) -> None:
    model = AutoModelForCausalLM.from_pretrained(model_folder("llama"))
    weight = torch.nn.Parameter(torch.zeros(32, 64, dtype=torch.int8), requires_grad=False)
    model.model.layers[1].mlp.down_proj.weight = weight
    assert export(model_folder("llama"), "ia3", model=model).is_dir()


def test_a_folder_in_use_is_left_alone(model_folder: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(InputError, match="output: expected a folder that is new or empty"):
        export_plan(source_of(model_folder("gpt2")), tmp_path, format="ia3")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_folder_that_cannot_be_made(model_folder: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    source = source_of(model_folder("gpt2"))
    for folder in (tmp_path / "file" / "out", tmp_path / ("x" * 300)):
        with pytest.raises(InputError, match="output: expected a path that can be written"):
            export_plan(source, folder, format="ia3")


@pytest.mark.parametrize(
    ("format", "room"),
    [("ia3", 64), ("ia3", 1024), ("lora", 64), ("lora", 1024), ("merged", 64), ("merged", 4096)],
)
def test_a_disk_that_fills_up(format: Any, room: int, model_folder: Any, tmp_path: Path) -> None:
    """Whichever library's file it is that does not fit; the record, written last, is missing."""
    source = source_of(model_folder("gpt2"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))  # bytes in a file
    try:
        with pytest.raises(InputError, match=r"output: expected a path.*out'; File too large$"):
            export_plan(source, tmp_path / "out", format=format)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not (tmp_path / "out" / RECORD_NAME).exists()


def test_a_tokenizer_that_does_not_fit(model_folder: Any, tmp_path: Path) -> None:
    """Its library's own complaint about a full disk."""
    source = source_of(model_folder("gpt2"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, limits[1]))
    try:
        with (
            pytest.raises(InputError, match=r"output: expected a path.*File too large$"),
            writing(tmp_path),
        ):
            source.tokenizer.save_pretrained(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_other_failures_are_not_taken_for_full_disks() -> None:
    with pytest.raises(RuntimeError, match="no such thing"), writing("p"):
        raise RuntimeError("no such thing")


def test_format_must_be_known(model_folder: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"format: expected one of control_vector, .*, got .gguf."):
        export_plan(source_of(model_folder("gpt2")), tmp_path, format="gguf")  # type: ignore[arg-type]


def test_formats_are_their_files_and_the_docs_list_them() -> None:
    text = (Path(__file__).parents[2] / "docs/serving.md").read_text(encoding="utf-8")
    table = text.split("| `--format` |")[1].split("\n\n")[0]
    names = [line.split("`")[1] for line in table.splitlines() if line.startswith("| `")]
    assert names == list(FORMATS) == list(module_names("sna_eval.export.formats"))


def test_a_plan_of_another_model_is_refused(model_folder: Any) -> None:
    plan = TaskPlan(Gate(), (PlannedIntervention(1, 2.0, neurons={"": (4000,)}),))
    with pytest.raises(InputError, match=rf"tasks.{TASK}.interventions\[0\].neurons"):
        source_of(model_folder("gpt2"), plan)


def test_an_adapted_base_is_refused(model_folder: Any, export: Any) -> None:
    from peft import PeftModel

    source = source_of(model_folder("gpt2"))
    adapted = PeftModel.from_pretrained(source.model, export(model_folder("gpt2"), "lora"))
    with pytest.raises(InputError, match="peft: expected a base model without an adapter"):
        Source(adapted, source.tokenizer, source.sites, TASK, PLAN, "gpt2")


def test_a_quantized_model_is_not_merged(model_folder: Any, tmp_path: Path) -> None:
    """Its quantizer saves weights of its own, whatever it is given: the plan was not in them."""
    source = source_of(model_folder("gpt2"))
    source.model.hf_quantizer = object()
    with pytest.raises(InputError, match="format: expected a model without quantization"):
        export_plan(source, tmp_path / "merged", format="merged")
    assert not (tmp_path / "merged" / RECORD_NAME).exists()
