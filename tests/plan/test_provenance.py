"""How neurons were found and chosen: typed, and written as it was read."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from sna_eval.files import plans_path
from sna_eval.plan import ChoiceRecord, Provenance, parse_plan, plan_fingerprint, plan_to_dict
from sna_eval.plan.files import plan_text

READ = {
    "n_prompts": 3, "method": "differential", "pooling": "mean", "items": [1, 2],
    "chosen": {"gain": 1, "lower_bound": None, "note": "x", "split": "development"},
}  # fmt: skip


def plan_of(found: Any) -> dict[str, Any]:
    entry = {"layer": 1, "multiplier": 2.0, "neurons": [1], "found": found}
    return {"version": 1, "tasks": {"t": {"interventions": [entry]}}}


@pytest.mark.parametrize("path", sorted(plans_path().glob("*.yaml")), ids=lambda path: path.stem)
def test_bundled_plans_are_written_as_they_were_read(path: Any) -> None:
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    again = yaml.safe_load(plan_text(parse_plan(raw)))
    for name, task in raw["tasks"].items():
        for before, after in zip(
            task["interventions"], again["tasks"][name]["interventions"], strict=True
        ):
            assert after.get("found") == before.get("found")
            assert list(after.get("found") or {}) == list(before.get("found") or {})


def test_nothing_is_lost_and_the_order_is_kept() -> None:
    found = Provenance.of(READ)
    assert (found.method, found.n_prompts, found.seed) == ("differential", 3, None)
    assert found.further == {"items": [1, 2]}
    assert found.chosen == ChoiceRecord(
        gain=1, split="development", further={"note": "x", "lower_bound": None}
    )
    assert yaml.safe_dump(found.to_dict(), sort_keys=False) == yaml.safe_dump(READ, sort_keys=False)
    text = plan_text(parse_plan(plan_of(READ)))
    assert text == plan_text(parse_plan(yaml.safe_load(text)))


@pytest.mark.parametrize(
    "raw",
    [{"n_prompts": "many"}, {"method": 5}, {"seed": True}, {"chosen": "by hand"}, {"chosen": []},
     {"chosen": {"gain": "much", "n_items": 1.5}}, {"further": {"a": 1}, "keys": 3},
     {"top_k": None}],
)  # fmt: skip
def test_values_of_another_type_are_carried_along(raw: dict[str, Any]) -> None:
    """Plans were never refused for what they say here, and are read still."""
    found = Provenance.of(raw)
    assert found.to_dict() == raw
    known = {name: getattr(found, name) for name in raw if name not in ("further", "keys")}
    assert all(one is None or isinstance(one, ChoiceRecord) for one in known.values())


def test_a_record_in_another_order_is_the_same() -> None:
    turned = dict(reversed(READ.items()))
    assert Provenance.of(turned) == Provenance.of(READ)
    one, other = (parse_plan(plan_of(raw)) for raw in (READ, turned))
    assert one == other
    assert plan_fingerprint(one) == plan_fingerprint(other)
    assert plan_to_dict(one)["tasks"]["t"]["interventions"][0]["found"] == READ


def test_saying_more() -> None:
    found = Provenance.of(READ)
    assert found.chosen is not None
    more = found.saying(cut_from=4, chosen=found.chosen.saying(gain=0.5, lower_bound=None))
    assert (more.cut_from, more.method) == (4, "differential")
    assert more.chosen is not None
    assert more.chosen.gain == 0.5
    assert list(more.to_dict()) == [*READ, "cut_from"]
    assert list(more.to_dict()["chosen"]) == list(READ["chosen"])  # type: ignore[call-overload]
    assert found.cut_from is None
