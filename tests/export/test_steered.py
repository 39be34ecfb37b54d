"""Files of lm_eval's `steered`, read and written, against lm_eval's own model of that name."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from sna_eval.errors import InputError
from sna_eval.export.vectors import layer_vectors
from sna_eval.gating import Gate
from sna_eval.harness.values import evidence_of
from sna_eval.intervention import find_sites
from sna_eval.methods import METHODS, Examples, MethodConfig, Workbench
from sna_eval.methods.steered import COLUMNS, read_steers
from sna_eval.plan import Plan, PlannedIntervention, Provenance, TaskPlan, load_plan, save_plan
from tests.conftest import build_model
from tests.export.conftest import TASK
from tests.intervention.dictionaries import random_tensors, write_sae_lens, write_sparsify

ALWAYS = Gate(mode="always")
WIDTH = 32


def bench_of(name: str) -> Workbench:
    model = build_model(name)
    return Workbench(model, find_sites(model), lambda text: [1] * len(text))


def steered(file: Path, bench: Workbench | None = None, **changes: Any) -> PlannedIntervention:
    """A plan's entry with what its file holds."""
    method = METHODS["steered"]
    options = {"file": str(file)}
    found = method.find(bench or bench_of("llama"), Examples(()), MethodConfig(0, options))
    assert found.layer is not None
    return PlannedIntervention(
        found.layer, method="steered", options=options, parameters=found.parameters,
        found=Provenance.of(found.remarks), **changes,
    )  # fmt: skip


def write_tensors(path: Path) -> Path:
    tensors = random_tensors(WIDTH)
    save_file(
        {
            "layers.1/add/steering_vector": tensors["W_dec"][3].clone(),
            "layers.1/add/steering_coefficient": torch.tensor(0.75),
            "layers.2/clamp/steering_vector": tensors["W_dec"][9].clone(),
            "layers.2/clamp/steering_coefficient": torch.tensor(2.5),
            "layers.2/clamp/bias": tensors["b_dec"].clone(),
            "layers.3.mlp/add/steering_vector": tensors["W_dec"][5].clone(),
            "layers.0.self_attn/clamp/steering_vector": tensors["W_dec"][6].clone(),
        },
        path,
    )
    return path


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def dictionaries(tmp_path: Path) -> Path:
    write_sparsify(tmp_path / "coder" / "layers.1", WIDTH)
    write_sae_lens(tmp_path / "lens" / "layer_2", WIDTH, "blocks.2.hook_resid_post")
    return tmp_path


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return [
        {"loader": "sparsify", "action": "add", "sparse_model": folder / "coder",
         "hookpoint": "layers.1", "feature_index": 3, "steering_coefficient": 0.75},
        {"loader": "sae_lens", "action": "clamp", "sparse_model": folder / "lens",
         "sae_id": "layer_2", "hookpoint": "layers.2", "feature_index": 9,
         "steering_coefficient": 2.5, "description": "things, and others"},
    ]  # fmt: skip


def test_lm_evals_model_scores_the_same(
    model_folder: Any, export: Any, scores: Any, tmp_path: Path
) -> None:
    """What is read as safetensors, exported for lm_eval, and read by its own code."""
    file, base = write_tensors(tmp_path / "given.safetensors"), model_folder("llama")
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        f"version: 1\ntasks:\n  {TASK}:\n    gate: always\n    interventions:\n"
        f"      - {{method: steered, options: {{file: {file}}}}}\n"
    )
    ours = scores("sna", pretrained=str(base), plan=str(plan))
    entry = steered(file)
    assert entry.layer == 0
    folder = export(base, "steered", TaskPlan(ALWAYS, (entry,)))
    theirs = scores("steered", pretrained=str(base), steer_path=str(folder / "steered.pt"))
    assert [float(value) for value in ours] == pytest.approx(theirs, abs=1e-5)
    effects = [float(value) - evidence_of(value).baseline for value in ours]
    assert max(map(abs, effects)) > 0.01
    again = steered(folder / "steered.safetensors")
    assert again.built() == entry.built()
    assert not (folder / "steered.csv").exists()


def test_csv_equals_hooks_by_hand(dictionaries: Path) -> None:
    """Rows with features of both loaders' dictionaries."""
    from sna_eval.intervention import amplify
    from tests.conftest import token_ids

    file = write_csv(dictionaries / "steer.csv", rows_of(dictionaries))
    bench = bench_of("llama")
    tensors = {name: value.double() for name, value in random_tensors(WIDTH).items()}
    direction = tensors["W_dec"][9] / tensors["W_dec"][9].norm()

    def add(module: Any, args: Any, output: Any) -> Any:
        return (output.double() + 0.75 * tensors["W_dec"][3]).float()

    def clamp(module: Any, args: Any, output: Any) -> Any:
        part = (output.double() - tensors["b_dec"]) @ direction
        return (output.double() + (2.5 - part).unsqueeze(-1) * direction).float()

    def logits() -> torch.Tensor:
        with torch.no_grad():
            found: torch.Tensor = bench.model(token_ids(2, 9)).logits.log_softmax(-1)
        return found

    layers: Any = bench.model.get_submodule("model.layers")
    handles = [layers[1].register_forward_hook(add), layers[2].register_forward_hook(clamp)]
    expected = logits()
    for handle in handles:
        handle.remove()
    with amplify(bench.model, list(steered(file, bench).built())):
        torch.testing.assert_close(logits(), expected, atol=1e-5, rtol=0)
    assert (expected - logits()).abs().max() > 1e-2
    plain = logits()
    with amplify(bench.model, list(steered(file, bench, strength=0.0).built())):
        assert torch.equal(logits(), plain)


def test_a_file_needs_no_development_items(tmp_path: Path) -> None:
    """A task without a split to search on was refused."""
    entry = PlannedIntervention(0, method="steered", options={"file": str(tmp_path / "a.csv")})
    assert not TaskPlan(ALWAYS, (entry,)).needs_development
    learned = PlannedIntervention(0, method="caa")
    assert TaskPlan(ALWAYS, (entry, learned)).needs_development


def test_csv_comes_back(dictionaries: Path, model_folder: Any, export: Any, tmp_path: Path) -> None:
    """With the strength in its coefficient, and through a saved plan."""
    rows = rows_of(dictionaries)[:1]
    entry = steered(write_csv(dictionaries / "steer.csv", rows), strength=2.0)
    save_plan(Plan({TASK: TaskPlan(ALWAYS, (entry,))}), tmp_path / "plan.yaml")
    kept = load_plan(tmp_path / "plan.yaml").tasks[TASK]
    assert kept.interventions[0].built() == entry.built()
    folder = export(model_folder("llama"), "steered", kept)
    with (folder / "steered.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert list(row) == list(COLUMNS)
    assert (float(row["steering_coefficient"]), row["hookpoint"]) == (1.5, "layers.1")
    (again,) = steered(folder / "steered.csv").built()
    assert torch.allclose(again.vector.values, 2 * entry.built()[0].vector.values)
    written = load_file(folder / "steered.safetensors")
    assert torch.equal(written["layers.1/add/steering_vector"], again.vector.values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"action": "multiply"}, r"csv:2: action: expected add or clamp, got 'multiply'"),
        ({"head_index": 3}, "csv:2: head_index: expected none, for whole outputs, got '3'"),
        ({"feature_index": 48}, "csv:2: feature_index: expected a feature from 0 to 47, got 48"),
        ({"feature_index": ""}, "csv:2: feature_index: expected a value"),
        ({"feature_index": "1.5"}, "csv:2: feature_index: expected a number, got '1.5'"),
        ({"steering_coefficient": "much"}, "csv:2: steering_coefficient: expected a number"),
        ({"loader": "pickle"}, "csv:2: loader: expected sparsify or sae_lens, got 'pickle'"),
        ({"sparse_model": "EleutherAI/sae"}, "csv:2: sparse_model: expected a folder with its dic"),
    ],
)
def test_refuses_rows(change: dict[str, Any], message: str, dictionaries: Path) -> None:
    file = write_csv(dictionaries / "steer.csv", [{**rows_of(dictionaries)[0], **change}])
    with pytest.raises(InputError, match=message):
        read_steers(str(file))


def test_refuses_files(dictionaries: Path) -> None:
    for name, message in (
        ("steered.pt", r"options\.file: expected a \.csv or \.safetensors file, got 'steered.pt'; "
                       "a pickle can run code"),
        ("nowhere.csv", r"options\.file: expected a .* lm_eval's `steered`, got '.*nowhere.csv'"),
        ("", r"options\.file: expected a \.csv or \.safetensors file"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            read_steers(str(dictionaries / name) if name else "")
    with pytest.raises(InputError, match="at least one hook point, got 'none'"):
        read_steers(str(write_csv(dictionaries / "empty.csv", [])))
    vector = torch.ones(WIDTH)
    for names, message in (
        (["layers.1"], "expected HOOKPOINT/add/steering_vector"),
        (["layers.1/add/bias"], "expected steering_vector, one steering_coefficient"),
        (["layers.1/add/steering_vector", "layers.1/clamp/steering_vector"], "hook point once"),
        (["embed_tokens/add/steering_vector"], "expected the output of a block, of its MLP"),
    ):  # fmt: skip
        save_file({name: vector.clone() for name in names}, dictionaries / "own.safetensors")
        with pytest.raises(InputError, match=message):
            steered(dictionaries / "own.safetensors")
    save_file({"layers.1/add/steering_vector": torch.ones(9)}, dictionaries / "own.safetensors")
    with pytest.raises(InputError, match=r"layers\.1: expected vectors of 32 numbers, got \[9\]"):
        steered(dictionaries / "own.safetensors")
    save_file({"layers.1/clamp/steering_vector": 0 * vector}, dictionaries / "own.safetensors")
    with pytest.raises(InputError, match="expected a direction to clamp"):
        steered(dictionaries / "own.safetensors")


def test_clamps_that_no_file_holds(tmp_path: Path) -> None:
    entry = steered(write_tensors(tmp_path / "given.safetensors"))
    half = steered(tmp_path / "given.safetensors", strength=0.5)
    for entries, message in (
        ((half,), "strength: expected 1 for a clamp"),
        ((entry, steered(tmp_path / "given.safetensors", positions="last")), "positions: expected"),
    ):
        with pytest.raises(InputError, match=message):
            layer_vectors(TaskPlan(ALWAYS, entries))
    caa = PlannedIntervention(
        2, method="caa", positions="all", parameters={"vector": entry.built()[2].direction}
    )
    with pytest.raises(InputError, match="expected one intervention a place, beside a clamp"):
        layer_vectors(TaskPlan(ALWAYS, (entry, caa)))


def test_another_files_content_is_read_anew(tmp_path: Path) -> None:
    """Of the same name: nothing of it is kept."""
    file = write_tensors(tmp_path / "given.safetensors")
    before = steered(file)
    save_file({"layers.1/add/steering_vector": torch.ones(WIDTH)}, file)
    after = steered(file)
    assert before.found is not None
    assert after.found is not None
    assert before.found.further["file_hash"] != after.found.further["file_hash"]
