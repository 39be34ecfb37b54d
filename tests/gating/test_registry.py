"""Every signal is one file, and nothing but its file and the docs names it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from sna_eval.errors import InputError
from sna_eval.gating import (
    SIGNALS,
    AnswerSignal,
    ChoicesSignal,
    Gate,
    NextTokenSignal,
    blind_signals,
)
from sna_eval.plan import parse_plan
from sna_eval.registry import Registry, either, module_names

ROOT = Path(__file__).parents[2]


def test_one_file_each() -> None:
    assert sorted(SIGNALS) == list(module_names("sna_eval.gating.signals"))


def test_the_docs_list_them_and_say_which_see_the_answer() -> None:
    text = (ROOT / "docs/explanation.md").read_text(encoding="utf-8")
    table = text.split("| signal | what it is | sees the right answer |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \|.*\| (\*\*yes\*\*|no) \|$", table, re.MULTILINE)
    assert {name: seen == "**yes**" for name, seen in rows} == {
        name: signal.sees_answer for name, signal in SIGNALS.items()
    }


@pytest.mark.parametrize("kind", [AnswerSignal, ChoicesSignal, NextTokenSignal])
def test_of_each_kind_one_is_the_usual(kind: type) -> None:
    signals = SIGNALS.of(kind)
    assert [signal for signal in signals.values() if signal.usual] == [SIGNALS.first(kind)]
    assert all(0 <= signal.low <= signal.high <= 1 for signal in signals.values())


def test_what_the_paper_uses() -> None:
    """0.07 and 0.10 on P(target), 0.30 and 0.60 on the margin (Akhtar 2026, sections 4 and 6)."""
    assert Gate() == Gate("target_prob", 0.07, 0.10)
    assert Gate.by(SIGNALS.first(ChoicesSignal)) == Gate("margin", 0.30, 0.60)
    assert {"margin", "max_prob", "entropy"} <= set(blind_signals())
    assert "target_prob" not in blind_signals()


def test_an_unknown_signal_is_an_error_everywhere() -> None:
    with pytest.raises(InputError, match=r"gate.signal: expected one of .*entropy.*, got 'luck'"):
        SIGNALS.find("luck")
    with pytest.raises(InputError, match=r"gate.signal: expected one of"):
        Gate("luck")
    raw = {"version": 1, "tasks": {"t": {"gate": {"signal": "luck"}, "interventions": []}}}
    with pytest.raises(InputError, match=r"tasks.t.gate.signal: expected one of"):
        parse_plan(raw)


def test_names_as_a_sentence_offers_them() -> None:
    assert either(["a"]) == "`a`"
    assert either("abc") == "`a`, `b` or `c`"


def test_a_registry_names_its_choices_and_what_they_are_choices_of() -> None:
    @dataclass(frozen=True)
    class Choice:
        name: str

    choices = Registry([Choice("b"), Choice("a")], field="format")
    assert list(choices) == ["b", "a"]
    assert choices.find("a") is choices["a"]
    with pytest.raises(InputError, match="format: expected one of b, a, got 'c'"):
        choices.find("c")
    with pytest.raises(InputError, match="--format: expected one of b, a, got None"):
        choices.find(None, field="--format")  # type: ignore[arg-type]
