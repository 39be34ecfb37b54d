"""A model whose blocks accelerate has put in several places answers as one that lies in one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sna_eval.harness.loading import load_lm, load_tasks
from sna_eval.intervention.decoder import input_device, whole_tensors
from tests.conftest import VOCABULARY, build_model
from tests.devices.conftest import assert_same_answers, assert_same_counts
from tests.devices.evaluate import evaluate

TASKS = ["sna_math_easy", "own_choices", "own_rolling", "own_generation"]
PLAN = {"layer": 2, "top_k": 5, "multiplier": 3.0, "gate": "always"}
NAMED = {"layer": 2, "neurons": "1;5;31", "multiplier": 3.0, "gate": "always"}


def offloaded(folder: Path, name: str) -> Any:
    """A tiny model whose embedding and lower blocks lie on disk and whose others lie in memory."""
    from accelerate import dispatch_model

    model = build_model(name, max_position_embeddings=256, vocab_size=VOCABULARY)
    places = {"model.embed_tokens": "disk", "model.rotary_emb": "cpu", "model.norm": "cpu"}
    places |= {f"model.layers.{n}": "disk" if n < 2 else "cpu" for n in range(4)}
    places["lm_head"] = "cpu"
    return dispatch_model(
        model, places, main_device="cpu", offload_dir=str(folder), force_hooks=True
    )


@pytest.mark.parametrize("name", [pytest.param("gpt2", marks=pytest.mark.slow), "llama"])
def test_parallelize(
    name: str, saved: Callable[[str], Path], job: Callable[..., Any], tmp_path: Path
) -> None:
    """lm_eval's `parallelize=True`, with less memory than the model takes: the rest is on disk."""
    arguments = {"pretrained": str(saved(name)), **NAMED}
    split = {"parallelize": True, "max_cpu_memory": "150KB", "offload_folder": str(tmp_path)}
    lm = load_lm({**arguments, **split}, batch_size=2)
    assert {"cpu", "disk"} <= set(lm.model.hf_device_map.values())
    got = evaluate(job({}, TASKS), lm)
    expected = evaluate(job(arguments, TASKS))
    assert got is not None
    assert expected is not None
    assert_same_answers(got, expected)
    assert_same_counts(got, expected)


def test_weights_on_disk(tmp_path: Path) -> None:
    model = offloaded(tmp_path, "llama")
    whole = build_model("llama", max_position_embeddings=256, vocab_size=VOCABULARY)
    assert next(model.parameters()).is_meta
    assert input_device(model) == torch.device("cpu")
    found, expected = dict(whole_tensors(model)), whole.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize("select", ["differential", "attribution"])
def test_neurons_found_with_weights_on_disk(
    saved: Callable[[str], Path],
    word_tokenizer: Any,
    tmp_path: Path,
    select: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = load_tasks(["sna_math_easy"], only_bundled=True)["sna_math_easy"]
    found = []
    for model in (offloaded(tmp_path, "llama"), str(saved("llama"))):
        given = {"tokenizer": word_tokenizer} if not isinstance(model, str) else {}
        lm = load_lm({"pretrained": model, **given, **PLAN, "select": select})
        monkeypatch.setenv("SNA_EVAL_CACHE", str(tmp_path / f"cache{len(found)}"))
        found.append(lm.plans.for_task(task))
    assert found[0] == found[1]
