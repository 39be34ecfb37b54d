"""Words that YAML makes something else of, in plans: labels, names and numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sna_eval.errors import InputError
from sna_eval.gating import Gate
from sna_eval.plan import load_plan, parse_plan, save_plan
from sna_eval.plan.yaml_text import parse_yaml

TEXT = """\
version: 1
tasks:
  some_task:
    gate: {{signal: margin, low: {low}, high: 0.6}}
    interventions:
      - layer: {layer}
        multiplier: {multiplier}
        direction: {direction}
        neurons:
          {label}: [1, 5]
          other: [2]
"""


@pytest.fixture
def written(tmp_path: Path) -> Any:
    def load(**changes: str) -> Any:
        usual = {"low": "0.3", "layer": "2", "multiplier": "2", "direction": "both", "label": "a"}
        path = tmp_path / "plan.yaml"
        path.write_text(TEXT.format(**{**usual, **changes}), encoding="utf-8")
        return load_plan(path).tasks["some_task"]

    return load


@pytest.mark.parametrize(
    ("label", "read"),
    [
        ("no", "False"), ("yes", "True"), ("off", "False"), ("on", "True"), ("No", "False"),
        ("true", "True"), ("null", "None"), ("~", "None"), ("010", "8"), ("0x10", "16"),
        ("1_000", "1000"), ("12:30", "750"), ("1.10", "1.1"), ("2024-1-2 10:00:00", "datetime"),
        (".inf", "inf"),
    ],
)  # fmt: skip
def test_labels_that_yaml_reads_otherwise(written: Any, label: str, read: str) -> None:
    line = TEXT[: TEXT.index("{label}")].count("\n") + 1
    with pytest.raises(InputError) as caught:
        written(label=label)
    said = str(caught.value)
    assert f'plan: expected "{label}" in quotes in line {line}, got {read}' in said
    for quote in ('"', "'"):
        (entry,) = written(label=f"{quote}{label}{quote}").interventions
        assert entry.neurons == {label: (1, 5), "other": (2,)}


@pytest.mark.parametrize("label", ["1", "0", "-3", "True", "1.5", "2024-01-02", "1e5", "nope", "y"])
def test_labels_that_are_read_as_they_stand(written: Any, label: str) -> None:
    (entry,) = written(label=label).interventions
    assert list(entry.neurons) == [label, "other"]


@pytest.mark.parametrize(
    ("direction", "message"),
    [
        ("no", 'YAML reads no, off or false so: put the word in quotes, such as "no"'),
        ("on", 'YAML reads yes, on or true so: put the word in quotes, such as "yes"'),
        ("1", 'put it in quotes: "1"'),
        ("2024-01-02", 'put it in quotes: "2024-01-02"'),
        ("null", 'write "null" in quotes, or leave the key out'),
        ("", 'write "null" in quotes, or leave the key out'),
    ],
)
def test_directions_that_yaml_reads_otherwise(written: Any, direction: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        written(direction=direction, label='"1"')
    assert caught.value.field == "tasks.some_task.interventions[0].direction"
    assert caught.value.hint == message


def test_a_label_may_be_any_word_in_quotes(written: Any, tmp_path: Path) -> None:
    """What is saved can be read: the writer puts these words in quotes."""
    for word in ("no", "on", "null", "1e-4", "2024-01-02", "012"):
        plan = written(direction=f'"{word}"', label=f'"{word}"')
        assert plan.interventions[0].direction == word
        save_plan(
            parse_plan({"version": 1, "tasks": {word: {"interventions": []}}}), tmp_path / "p"
        )
        assert list(load_plan(tmp_path / "p").tasks) == [word]


@pytest.mark.parametrize("label", [True, None, 1.5])
def test_labels_from_other_readers(label: Any) -> None:
    entry = {"layer": 1, "multiplier": 2, "neurons": {label: [1], "b": [2]}}
    with pytest.raises(InputError, match=r"interventions\[0\].neurons: expected names as texts"):
        parse_plan({"version": 1, "tasks": {"t": {"interventions": [entry]}}})
    with pytest.raises(InputError, match="tasks: expected names as texts"):
        parse_plan({"version": 1, "tasks": {label: {"interventions": []}}})


@pytest.mark.parametrize(
    ("text", "number"),
    [("1e-4", 1e-4), ("1E-4", 1e-4), ("+1e-4", 1e-4), (".5e-1", 0.05), ("1.5e-2", 0.015),
     ("2.e-1", 0.2), ("-1e3", -1000.0)],
)  # fmt: skip
def test_numbers_with_an_exponent(written: Any, text: str, number: float) -> None:
    assert written(low=text).gate == Gate("margin", number, 0.6)
    assert parse_yaml(text) == number


def test_every_number_of_a_plan_may_have_one(written: Any) -> None:
    (entry,) = written(multiplier="2e0", layer="1e1").interventions
    assert (entry.multiplier, entry.layer) == (2.0, 10)


@pytest.mark.parametrize("text", ['"1e-4"', "'1e-4'", "e-4", "1e", "1e-4x", "--1e3", "1e-4.5"])
def test_texts_stay_texts(written: Any, text: str) -> None:
    assert isinstance(parse_yaml(text), str)
    with pytest.raises(InputError, match=r"some_task.gate.low: expected a number"):
        written(low=text)


@pytest.mark.parametrize("text", ["1e400", "1e-4000000000000000000"])
def test_numbers_out_of_bounds(written: Any, text: str) -> None:
    if text == "1e400":
        with pytest.raises(InputError, match="expected a finite number"):
            written(low=text)
    else:
        assert written(low=text).gate.low == 0.0
