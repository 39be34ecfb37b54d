"""The card and the record: what they say is so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from sna_eval.export import Format, read_record
from sna_eval.gating import Gate
from sna_eval.intervention import find_sites
from sna_eval.plan import Plan, model_fingerprint, plan_fingerprint, task_fingerprint
from tests.export.conftest import PLAN, SCALING_FORMATS, TASK, source_of

MARGIN = replace(PLAN, gate=Gate("margin", 0.25, 0.5, "amplify"))


def card(folder: Path) -> str:
    return (folder / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("format", SCALING_FORMATS)
def test_card_says_what_it_fits(format: Format, model_folder: Any, export: Any) -> None:
    base = model_folder("llama")
    whole = Plan({TASK: MARGIN})
    text = card(export(base, format, MARGIN, whole_plan=whole))
    source = source_of(base)
    for fact in (
        str(base),
        model_fingerprint(source.model),
        plan_fingerprint(whole),
        task_fingerprint(MARGIN),
        "| 1 | `model.layers.1.mlp.down_proj` | 4.25 | 40 |",
        "| 3 | `model.layers.3.mlp.down_proj` | 3 | 2, 9, 30 |",
    ):
        assert fact in text
    head = yaml.safe_load(text.split("---")[1])
    assert head["base_model"] == str(base)
    assert head["library_name"] == ("transformers" if format == "merged" else "peft")


def test_card_says_that_the_gate_is_not_there(model_folder: Any, export: Any) -> None:
    text = card(export(model_folder("llama"), "ia3", MARGIN))
    assert "`margin` of the *unamplified* model is below 0.25" in text
    assert "between that and 0.5 (zone 2) an item is amplified too" in text
    assert "right answer" not in text
    oracle = replace(PLAN, gate=Gate("target_prob"))
    assert "reads the right answer" in card(export(model_folder("llama"), "ia3", oracle))
    assert "amplifies every item" in card(export(model_folder("llama"), "ia3"))


def test_card_names_a_rank_that_engines_take(model_folder: Any, export: Any) -> None:
    text = card(export(model_folder("llama"), "lora"))
    assert "The rank is 4." in text
    assert "--max-lora-rank 8 " in text


def test_card_names_the_revision(model_folder: Any, export: Any) -> None:
    text = card(export(model_folder("llama"), "lora", name="org/model", revision="v2"))
    assert 'from_pretrained("org/model", revision="v2")' in text
    assert "| revision | `v2` |" in text


def test_loading_as_the_card_says(model_folder: Any, export: Any) -> None:
    for format in SCALING_FORMATS:
        folder = export(model_folder("llama"), format)
        code = card(folder).split("```python\n")[1].split("```")[0]
        names: dict[str, Any] = {}
        exec(code.replace("PATH/TO/THIS/FOLDER", str(folder)), names)
        assert find_sites(names["model"]).d_mlp == 64


def test_padded_vocabularies_are_pointed_out(
    model_folder: Any, export: Any, scores: Any, plan_file: Path, word_tokenizer: Any
) -> None:
    words = len(word_tokenizer)
    base = model_folder("llama", vocab_size=words + 32)
    folder = export(base, "ia3", tokenizer=word_tokenizer)
    said = f"This model has {words + 32} vocabulary entries and its tokenizer {words};"
    assert said in card(folder)
    expected = scores("sna", pretrained=str(base), plan=str(plan_file))
    resized = scores("hf", pretrained=str(base), peft=str(folder))
    merged = scores("hf", pretrained=str(export(base, "merged")))
    assert merged == pytest.approx(expected, abs=1e-5)
    assert all(got > 1e-3 + was for got, was in zip(resized, expected, strict=True))


@pytest.mark.parametrize("format", SCALING_FORMATS)
def test_record_holds_the_plan(format: Format, model_folder: Any, export: Any) -> None:
    folder = export(model_folder("gpt2"), format, MARGIN)
    record = json.loads((folder / "sna_export.json").read_text())
    assert record["format"] == format
    assert record["gate_included"] is False
    assert record["oracle"] is False
    assert record["base_model"]["architecture"] == "GPT2LMHeadModel"
    assert record["base_model"]["dtype"] == "float32"
    first = record["modules"][0]
    assert first["name"] == "transformer.h.1.mlp.c_proj"
    assert dict(zip(first["neurons"], first["factors"], strict=True))[5] == 1.7
    read = read_record(folder)
    assert read is not None
    assert (read[0], read[1].tasks[TASK]) == (TASK, MARGIN)


def test_the_same_plan_gives_the_same_bytes(model_folder: Any, export: Any) -> None:
    first, second = (export(model_folder("gpt2"), "lora") for _ in range(2))
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes()
