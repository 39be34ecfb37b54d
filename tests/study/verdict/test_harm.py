"""Harm beyond the task, against one text after another by plain hooks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from sna_eval.intervention import Intervention, amplify
from sna_eval.neurons import neutral_sentences, spread_over
from sna_eval.study.verdict import harm as harm_module
from sna_eval.study.verdict.harm import NEW_TOKENS, PlainText, repeated_share

CLAIM = Intervention(1, tuple(range(0, 40, 3)), 4.0)


@pytest.fixture
def text(lm: Any, monkeypatch: pytest.MonkeyPatch) -> PlainText:
    monkeypatch.setattr(harm_module, "GENERATIONS", 6)
    return PlainText(lm)


def _alone(lm: Any, interventions: list[Intervention]) -> list[float]:
    """Repetition of each text by itself, without padding or neighbours."""
    found = []
    for text in spread_over(neutral_sentences(), 6):
        ids = torch.tensor([lm.tok_encode(text, add_special_tokens=False)[:8]])
        with torch.no_grad(), amplify(lm.model, interventions):
            written = lm.model.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW_TOKENS,
                do_sample=False, pad_token_id=lm.tokenizer.pad_token_id,
            )  # fmt: skip
        found.append(repeated_share(written[0, ids.shape[1] :].tolist()))
    return found


def test_texts_together_are_texts_by_themselves(lm: Any, text: PlainText) -> None:
    found = text.harm(CLAIM, begin=lambda stage: lambda done: None)
    expected = np.subtract(_alone(lm, [CLAIM]), _alone(lm, []))
    assert found.repetition == pytest.approx(expected, abs=1e-7)
    assert np.abs(expected).max() > 0


def test_a_text_ends_where_one_by_itself_does(
    lm: Any, text: PlainText, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fills up the rows of texts that end early counts for nothing."""
    ids = lm.tok_encode(neutral_sentences()[0], add_special_tokens=False)[:8]
    written = lm.model.generate(
        input_ids=torch.tensor([ids]), max_new_tokens=NEW_TOKENS, do_sample=False
    )[0, len(ids) :].tolist()
    ending = written[5]
    for ends in (ending, [ending]):
        monkeypatch.setattr(lm.model.generation_config, "eos_token_id", ends)
        found = PlainText(lm).harm(CLAIM, begin=lambda stage: lambda done: None)
        expected = np.subtract(_alone(lm, [CLAIM]), _alone(lm, []))
        assert found.repetition == pytest.approx(expected, abs=1e-7)


def test_the_unmodified_model_writes_once(
    lm: Any, text: PlainText, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    asked: list[int] = []
    generated = harm_module._generated

    def counted(lm: Any, prompts: Any, interventions: Any) -> Any:
        asked.append(len(interventions))
        return generated(lm, prompts, interventions)

    monkeypatch.setattr(harm_module, "_generated", counted)

    def begin(stage: str) -> Any:
        begun.append(stage)
        return lambda done: None

    for _ in range(3):
        text.harm(CLAIM, begin)
    assert asked.count(1) == 3 * asked.count(0)
    assert begun == ["plain text", "generation"] * 3
