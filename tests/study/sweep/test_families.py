"""Units and rankings through a screened sweep on every default architecture, by plain hooks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sna_eval.harness.lm import SNALM
from sna_eval.intervention import amplify
from sna_eval.plan import plain_interventions
from sna_eval.study.sweep import ScreenOptions, Sweep, SweepOptions, row_plan, run_sweep
from tests.conftest import CONFIGS, VOCABULARY, build_model
from tests.study.plain import target_prob

NAME = "own_open"
SCREEN = ScreenOptions(verify=0.2, at_least=2, sample=0.2, sample_at_least=2)


@pytest.mark.parametrize(
    ("unit", "select"),
    [
        ("mlp", "differential"),
        ("mlp", "attribution"),
        ("mlp", "gradient"),
        ("head", "differential"),
    ],
)
@pytest.mark.parametrize("name", CONFIGS)
def test_measured_rows_are_those_of_hooks(
    name: str, unit: Any, select: str, load: Callable[..., dict[str, Any]], word_tokenizer: Any,
    tmp_path: Path,
) -> None:  # fmt: skip
    lm = SNALM(
        build_model(name, vocab_size=VOCABULARY),
        tokenizer=word_tokenizer,
        batch_size=8,
        gate="never",
    )
    asked = SweepOptions(
        tasks=(NAME,), unit=unit, select=select, n_neurons=(1, 2), multipliers=(1.5, 3.0),
        screen=SCREEN,
    )  # fmt: skip
    store = run_sweep(Sweep(asked, lm=lm, tasks=load(NAME)), tmp_path, quiet=True)
    items = store.items().to_pandas()
    rows = [row for row in store.configurations().to_pylist() if row["source"] == "measured"]
    assert rows
    key = ["layer", "n_neurons", "multiplier", "direction"]
    docs = list(load(NAME)[NAME].validation_docs())
    for row in rows[:4]:
        (task,) = row_plan(store, row).tasks.values()
        here = np.logical_and.reduce([items[one] == row[one] for one in key])
        found = items[here].set_index("item")["amplified_prob"]
        assert len(found)
        for place, value in found.items():
            doc = docs[int(place)]
            with amplify(lm.model, plain_interventions(task), sites=lm.sites.of(unit)):
                expected = target_prob(lm, doc["text"], f" {doc['answer']}")
            assert value == pytest.approx(expected, rel=1e-5, abs=1e-9)
