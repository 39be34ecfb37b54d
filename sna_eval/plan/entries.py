"""One entry of a plan file: from YAML values to a `PlannedIntervention` and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sna_eval.errors import InputError
from sna_eval.methods import Method, find_method
from sna_eval.neurons import UNLABELLED
from sna_eval.plan.provenance import Provenance
from sna_eval.plan.reading import Fields, filled, integers, label, numbers, plain_mapping
from sna_eval.plan.schema import (
    NeuronSets,
    PlannedIntervention,
    ScoreSets,
)
from sna_eval.plan.selection import Selection
from sna_eval.plan.vectors import Vectors, parameters_to_dict, parse_parameters


def parse_entry(raw: Any, path: str, vectors: Vectors) -> PlannedIntervention:
    fields = Fields(raw, path)
    method = find_method(str(fields.text("method", "sna")), field=fields.at("method"))
    values: dict[str, Any] = {
        "method": method.name,
        "positions": fields.text("positions", method.positions),
        "options": _parse_options(fields, method),
        "found": _parse_found(fields),
    }
    if method.chooses_neurons:
        values |= _parse_choice(fields, method)
    else:
        values["strength"] = fields.number("strength", 1.0)
        parameters = fields.take("parameters")
        values["parameters"] = parse_parameters(parameters, fields.at("parameters"), vectors)
    values["layer"] = _parse_layer(fields, method, values.get("select"))
    fields.done()
    return PlannedIntervention(**values)


def _parse_layer(fields: Fields, method: Method, select: Selection | None) -> int:
    if select is not None and select.across_layers:
        given = fields.take("layer")
        if given is not None:
            raise InputError(
                fields.at("layer"), expected="no such key beside `across_layers: true`", got=given,
                hint="neurons of all layers are compared; leave one of the two out",
            )  # fmt: skip
        return 0
    layer = fields.integer("layer", None if method.needs_layer else 0)
    layer = fields.required("layer", layer)
    if layer < 0:
        raise InputError(fields.at("layer"), expected="a layer from 0", got=layer)
    return layer


def _parse_options(fields: Fields, method: Method) -> dict[str, Any]:
    given = plain_mapping(fields.take("options"), fields.at("options")) or {}
    method.settle(given)
    return given


def _parse_found(fields: Fields) -> Provenance | None:
    raw = plain_mapping(fields.take("found"), fields.at("found"))
    return None if raw is None else Provenance.of(raw)


def _parse_choice(fields: Fields, method: Method) -> dict[str, Any]:
    """What only methods that choose neurons have."""
    select = fields.take("select")
    neurons = _parse_neurons(fields.take("neurons"), fields.at("neurons"))
    if method.select and neurons is None and isinstance(select, Mapping | None):
        select = _completed(method.select, select or {})
    return {
        "multiplier": fields.required("multiplier", fields.number("multiplier")),
        "unit": fields.text("unit", "mlp"),
        "direction": fields.name("direction", "both"),
        "allow_oracle": fields.flag("allow_oracle"),
        "select": filled(Selection, select, fields.at("select")),
        "neurons": neurons,
        "scores": _parse_scores(fields.take("scores"), fields.at("scores")),
    }


def _completed(usual: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A method's own `select` with what a plan says otherwise; `top_k` stands in for a share."""
    counted = given.get("top_k") is not None or given.get("across_layers") is False
    left = {name: value for name, value in usual.items() if not (counted and name == "share")}
    return {**left, **given}


def _parse_neurons(raw: Any, path: str) -> NeuronSets | None:
    if raw is None:
        return None
    if not isinstance(raw, Mapping):
        return {UNLABELLED: integers(raw, path)}
    return {label(key, path): integers(entry, f"{path}.{key}") for key, entry in raw.items()}


def _parse_scores(raw: Any, path: str) -> ScoreSets | None:
    if raw is None:
        return None
    if not isinstance(raw, Mapping):
        return {UNLABELLED: numbers(raw, path)}
    return {label(key, path): numbers(entry, f"{path}.{key}") for key, entry in raw.items()}


def entry_to_dict(entry: PlannedIntervention) -> dict[str, Any]:
    """Fields in reading order; those that say nothing are left out."""
    chooses = entry.how.chooses_neurons
    written: dict[str, Any] = {
        **({} if entry.across_layers else {"layer": entry.layer}),
        **({"multiplier": entry.multiplier} if chooses else {"strength": entry.strength}),
        **({"unit": entry.unit} if entry.unit != "mlp" else {}),
        "method": entry.method,
        "positions": entry.positions,
        **(_choice_to_dict(entry) if chooses else {}),
    }
    if entry.options:
        written["options"] = dict(entry.options)
    if entry.parameters is not None:
        written["parameters"] = parameters_to_dict(entry.parameters)
    if entry.found is not None:
        written["found"] = entry.found.to_dict()
    return written


def _choice_to_dict(entry: PlannedIntervention) -> dict[str, Any]:
    """What only methods that choose neurons have."""
    written: dict[str, Any] = {"direction": entry.direction}
    if entry.allow_oracle:
        written["allow_oracle"] = True
    if entry.select is not None:
        usual = {name: getattr(entry.select, name) for name in entry.how.select}
        said = {name: value for name, value in usual.items() if value is not None}
        written["select"] = {**entry.select.to_dict(), **said}
    for key, sets in (("neurons", entry.neurons), ("scores", entry.scores)):
        if sets is not None:
            lists = {name: list(values) for name, values in sets.items()}
            written[key] = lists[UNLABELLED] if list(lists) == [UNLABELLED] else lists
    return written
