"""What was found in files that commands wrote, each with the file that brought it to light."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sna_eval.cache import read_entry, write_entry
from sna_eval.errors import InputError
from sna_eval.study.interference import Interference
from sna_eval.study.methods.units import MethodUnit, MethodUnits
from sna_eval.typed import build
from tests.hostile.loaders import LOADERS, laid_out
from tests.hostile.loaders.base import TASK
from tests.hostile.loaders.measured import EFFECTS, ENTRY, SETTINGS


@pytest.mark.parametrize("before", ["0.1", None, 10**400, float("inf"), [1]])
def test_effects_that_are_no_numbers(before: Any, tmp_path: Path) -> None:
    (seed,) = LOADERS["interference"].seeds()
    seed.values["effects"][0]["before"] = before
    laid_out("interference", tmp_path, json.dumps(seed.values))
    with pytest.raises(InputError, match="interference: expected a folder that"):
        Interference.load(tmp_path)


def test_an_interference_file_that_is_no_mapping(tmp_path: Path) -> None:
    laid_out("interference", tmp_path, '"text"')
    with pytest.raises(InputError, match="interference: expected a folder that"):
        Interference.load(tmp_path)


def effects(**changes: Any) -> str:
    return json.dumps({**EFFECTS, **changes})


def effect(number: int, **changes: Any) -> dict[str, Any]:
    made = [dict(entry) for entry in EFFECTS["effects"]]
    made[number] |= changes
    return {"effects": made}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"effects": EFFECTS["effects"][1:]}, "effects are missing, twice or of unknown"),
        ({"effects": [*EFFECTS["effects"], EFFECTS["effects"][0]]}, "missing, twice or of unkn"),
        (effect(0, intervention="c"), "effects are missing, twice or of unknown"),
        (effect(0, intervention=["a"]), r"effects\[0\].intervention is no str"),
        (effect(2, acc_before="x"), r"effects\[2\].acc_before is no number"),
        (effect(0, n_items=2.5), r"effects\[0\].n_items is no int"),
        (effect(0, speed=1), r"effects\[0\].speed is unknown"),
        ({"controls": [{**EFFECTS["controls"][0], "random_changes": 0.1}]}, "random_changes is no"),
        ({"sources": [{"task": "a", "fingerprint": "0", "parts": [["both", 1, 3]]}]}, "3 entries"),
        ({"sources": [{"task": "a", "parts": []}]}, r"sources\[0\].fingerprint is missing"),
        ({"versions": {"python": 3}}, "versions.python is no str"),
        ({"limit": "all"}, "limit is no int"),
    ],
)
def test_effects_that_a_report_cannot_show(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    laid_out("interference", tmp_path, effects(**changes))
    with pytest.raises(InputError, match=f"interference: expected a folder that.*{message}"):
        Interference.load(tmp_path)


def unit(**changes: Any) -> str:
    (seed,) = LOADERS["methods unit"].seeds()
    return json.dumps({**seed.values, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "another"}, "the unit sna of another"),
        ({"label": "caa"}, "the unit caa of"),
        ({"before": [0.1]}, "as many values, zones and decisions as items"),
        ({"before": [], "after": [], "everywhere": [], "zones": [], "amplified": []}, "as many"),
        ({"before": [0.1, "x"]}, r"before\[1\] is no number"),
        ({"after": [0.1, 10**400]}, "too large to convert to float"),
        ({"after": [0.1, float("nan")]}, "a value is NaN"),
        ({"after": 0.5}, "after is no list"),
        ({"zones": [1.0, 2.0]}, r"zones\[0\] is no int"),
        ({"strength": "x"}, "strength is no number"),
        ({"speed": 1}, "speed is unknown"),
        ({"measure": "\ud83e"}, "surrogates not allowed"),
    ],
)
def test_units_of_methods(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    laid_out("methods unit", tmp_path, unit(**changes))
    with pytest.raises(InputError, match=f"output: expected a file that `sna-eval me.*{message}"):
        MethodUnits(tmp_path, SETTINGS).read("sna", TASK, items_hash="")


def test_units_of_a_task_with_a_path_for_a_name(tmp_path: Path) -> None:
    """Nothing is written beside the folder."""
    entry = build(MethodUnit, json.loads(unit(task="../../a/b")))
    units = MethodUnits(tmp_path / "one" / "two", SETTINGS)
    units.write(entry)
    assert units.read("sna", "../../a/b", items_hash="") == entry
    inside = [path for path in tmp_path.rglob("*.json") if path.parent.name == "units"]
    assert len(inside) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"one"}


@pytest.mark.parametrize("content", ["[", "[" * 100_000, '"text"', "[1]", "\x00"])
def test_settings_of_methods(content: str, tmp_path: Path) -> None:
    laid_out("methods settings", tmp_path, content)
    with pytest.raises(InputError, match="output: expected a file that `sna-eval methods` wrote"):
        MethodUnits(tmp_path, SETTINGS)


@pytest.mark.parametrize("damage", ["[" * 100_000, "", "null", "{}", "5"])
def test_cache_entries_that_are_none(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNA_EVAL_CACHE", str(tmp_path))
    laid_out("cache entry", tmp_path, damage)
    assert read_entry("entry") is None


def test_a_flipped_bit_in_a_cache_gives_no_other_neurons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNA_EVAL_CACHE", str(tmp_path))
    write_entry("entry", ENTRY)
    assert read_entry("entry") == ENTRY
    content = bytearray((tmp_path / "entry.json").read_bytes())
    for place in range(len(content)):
        content[place] ^= 1
        (tmp_path / "entry.json").write_bytes(bytes(content))
        content[place] ^= 1
        assert read_entry("entry") in (None, ENTRY), place


def test_an_entry_with_numbers_for_keys_is_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNA_EVAL_CACHE", str(tmp_path))
    write_entry("entry", {"remarks": {9: (1, 2), 10: (3,)}})
    assert read_entry("entry") == {"remarks": {"9": [1, 2], "10": [3]}}
