"""Where nothing is amplified, `sna` answers as lm_eval's `hf` does."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness.conftest import answers, flat_numbers

BUNDLED = [
    *(
        f"sna_{domain}_{level}"
        for domain in ("math", "poetry", "coding", "logic")
        for level in ("easy", "medium", "hard")
    ),
    "sna_sst2",
]
OWN = ["own_rolling", "own_generation", "own_choices"]
NEVER = {"layer": 2, "top_k": 5, "multiplier": 3.0, "gate": "never"}
ONE = {"layer": 2, "neurons": "1;5;7", "multiplier": 1.0, "gate": "always"}


@pytest.fixture(autouse=True)
def local_sst2(shared_data: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNA_EVAL_SST2", str(shared_data / "sst2"))


@pytest.mark.parametrize(("batch_size", "shots"), [(1, 0), (8, 2), ("auto", 0), (8, 0)])
def test_to_the_last_bit(
    evaluate: Any, make_hf: Any, make_sna: Any, batch_size: Any, shots: int
) -> None:
    tasks = [*BUNDLED, *OWN] if shots == 0 else [*BUNDLED, "own_generation", "own_choices"]
    limit = 3
    expected = evaluate(make_hf(batch_size=batch_size), tasks, limit=limit, shots=shots)
    for plan in (NEVER, ONE):
        lm = make_sna(batch_size=batch_size, strict=True, **plan)
        got = evaluate(lm, tasks, limit=limit, shots=shots)
        assert answers(got) == answers(expected)
        for task in tasks:  # results agree too, beside what only `sna` knows
            assert got["results"][task]["sample_len"] == expected["results"][task]["sample_len"]


@pytest.mark.parametrize("batch_size", [1, 8, "auto"])
@pytest.mark.parametrize("plan", [NEVER, ONE], ids=["never", "one"])
def test_fast_path_within_tolerance(
    evaluate: Any, make_hf: Any, make_sna: Any, plan: Any, batch_size: Any
) -> None:
    tasks = [*BUNDLED, *OWN]
    expected = answers(evaluate(make_hf(batch_size=batch_size), tasks, limit=3))
    got = answers(evaluate(make_sna(batch_size=batch_size, **plan), tasks, limit=3))
    assert got["own_generation"] == expected["own_generation"]
    assert flat_numbers(got) == pytest.approx(flat_numbers(expected), abs=1e-5)


def test_the_fast_path_ran(evaluate: Any, make_sna: Any) -> None:
    lm = make_sna(layer=2, neurons="1;5;7", multiplier=3.0, gate="always")
    evaluate(lm, ["own_choices"], limit=5)
    passes = lm.describe()["passes"]
    assert passes["resumed_rows"] == {"2": 5}
    assert passes["full_rows"] == 0
    assert passes["shared_tokens"] > 0


def test_strict_runs_full_passes(evaluate: Any, make_sna: Any) -> None:
    lm = make_sna(layer=2, neurons="1;5;7", multiplier=3.0, gate="always", strict=True)
    evaluate(lm, ["own_choices"], limit=5)
    assert lm.describe()["passes"]["resumed_rows"] == {}
    assert lm.describe()["passes"]["full_rows"] == 20
