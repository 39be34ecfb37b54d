"""What a model allows is found once: the same model is not tried again, another one is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lm_eval.api.instance import Instance

from sna_eval.cache import cache_dir, write_entry
from sna_eval.harness.lm import SNALM
from sna_eval.harness.model import kept
from sna_eval.intervention import Abilities
from tests.conftest import VOCABULARY, build_model

Load = Callable[..., SNALM]


@pytest.fixture
def load(word_tokenizer: Any) -> Load:
    """An `SNALM` of a tiny model, built anew."""

    def make(
        name: str = "llama", *, dtype: torch.dtype = torch.float32, factor: float = 1.0,
        **changes: Any,
    ) -> SNALM:  # fmt: skip
        model = build_model(name, vocab_size=VOCABULARY, **changes).to(dtype)
        with torch.no_grad():
            model.model.layers[0].mlp.down_proj.weight[:, 3] *= factor
        gate = {"layer": 1, "neurons": "1;2", "multiplier": 3.0, "gate": "always"}
        return SNALM(model, tokenizer=word_tokenizer, **gate)

    return make


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the trials that were made, in order."""
    made: list[str] = []

    def counted(name: str) -> Callable[..., Any]:
        original = getattr(kept, name)

        def run(*args: Any) -> Any:
            made.append(name)
            return original(*args)

        return run

    for name in ("probe", "find_shortcuts"):
        monkeypatch.setattr(kept, name, counted(name))
    return made


def found(lm: SNALM) -> tuple[Any, ...]:
    return lm.scoring_engine.abilities, lm.scoring_engine.shortcuts


def test_a_model_loaded_again_is_not_tried_again(load: Load, trials: list[str]) -> None:
    first, second = load(), load()
    assert found(first) == found(second)
    assert trials == ["probe", "find_shortcuts"]
    assert found(second)[0].resumes
    assert found(second)[1].narrow


def test_scores_are_the_same_to_the_bit(load: Load, trials: list[str]) -> None:
    request = Instance("loglikelihood", {}, ("one two", " three four"), 0, ("t", 0, 1))
    fresh, again = (
        [(float(value), value.evidence.baseline) for value, _ in lm.loglikelihood([request], True)]
        for lm in (load(), load())
    )
    assert fresh == again
    assert len(trials) == 2


@pytest.mark.parametrize(
    "other",
    [
        {"dtype": torch.bfloat16},
        {"name": "mistral"},
        {"num_hidden_layers": 3},
        {"rms_norm_eps": 1e-4},
        {"attn_implementation": "eager"},
        {"factor": 2.0},
    ],
)
def test_another_model_is(load: Load, trials: list[str], other: dict[str, Any]) -> None:
    found(load())
    found(load(**other))
    assert trials == ["probe", "find_shortcuts"] * 2


@pytest.mark.parametrize("module", ["torch", "transformers"])
def test_another_version_tries_again(
    load: Load, trials: list[str], module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found(load())
    monkeypatch.setattr(getattr(kept, module), "__version__", "0.1")
    found(load())
    assert trials == ["probe", "find_shortcuts"] * 2


def test_a_model_that_is_hooked_into_is_tried_every_time(load: Load, trials: list[str]) -> None:
    for _ in range(2):
        lm = load()
        lm.model.model.layers[0].register_forward_hook(lambda module, args, output: None)
        found(lm)
    assert trials == ["probe", "find_shortcuts"] * 2


def test_switched_off(load: Load, trials: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNA_EVAL_NO_CACHE", "1")
    assert found(load()) == found(load())
    assert trials == ["probe", "find_shortcuts"] * 2
    assert not list(cache_dir().iterdir())


def test_a_folder_nobody_can_write(
    load: Load, trials: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SNA_EVAL_CACHE", str(tmp_path / "file" / "cache"))
    assert found(load()) == found(load())
    assert trials == ["probe", "find_shortcuts"] * 2


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"resumes": 1, "packs": False, "shares_prefix": False, "returns_tuple": False},
        {"kernels": ["another_kernel"], "narrow": []},
        {"kernels": [], "narrow": ["no.such.module"]},
        {"kernels": "fused_activations", "narrow": []},
    ],
)
def test_what_another_program_wrote_is_found_anew(
    load: Load, trials: list[str], entry: dict[str, Any]
) -> None:
    expected = found(load())
    for path in cache_dir().iterdir():
        write_entry(path.stem, entry)
    assert found(load()) == expected
    assert found(load()) == expected
    assert trials == ["probe", "find_shortcuts"] * 2


def test_a_damaged_file_is_found_anew(load: Load, trials: list[str]) -> None:
    expected = found(load())
    for path in cache_dir().iterdir():
        path.write_bytes(path.read_bytes()[:-9])
    assert found(load()) == expected
    assert trials == ["probe", "find_shortcuts"] * 2


def test_what_is_kept_is_what_is_used(load: Load) -> None:
    """A model that is said to allow nothing is run by plain passes."""
    lm = load()
    assert lm.engine.abilities.packs
    (path,) = cache_dir().iterdir()
    write_entry(path.stem, vars(replace(lm.engine.abilities, packs=False)))
    assert load().engine.abilities == replace(lm.engine.abilities, packs=False) != Abilities()
