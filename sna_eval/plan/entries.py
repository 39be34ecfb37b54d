"""One entry of a plan file: from YAML values to a `PlannedIntervention` and back.

Numbers that a method learned stand in the entry where they are few. A long vector lies in a file
beside the plan, in the safetensors format, and the entry names it by the hash of its bytes, so that
the plan's own fingerprint covers the numbers. Reading that file runs no code.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sna_eval.errors import InputError, reading
from sna_eval.files import read_tensors
from sna_eval.intervention import Vector
from sna_eval.methods import METHODS, Method, Parameter
from sna_eval.neurons import UNLABELLED
from sna_eval.plan.reading import Fields, filled, integers, label, numbers, plain_mapping
from sna_eval.plan.schema import NeuronSets, PlannedIntervention, ScoreSets
from sna_eval.plan.selection import Provenance, Selection
from sna_eval.typed import Json

INLINE = 64
"""Numbers that a plan file holds itself; longer vectors go into the file beside it."""
SUFFIX = ".safetensors"
_LARGEST_FILE = 256 * 2**20  # bytes; a thousand vectors of 50,000 numbers take 200 MB

Vectors = Mapping[str, Vector]
"""Vectors by the hash of their bytes."""


def parse_entry(raw: Any, path: str, vectors: Vectors) -> PlannedIntervention:
    fields = Fields(raw, path)
    method = METHODS.find(str(fields.text("method", "sna")), field=fields.at("method"))
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


def _completed(usual: Json, given: Json) -> dict[str, Any]:
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


def parameters_to_dict(parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """Parameters as plain YAML values, long vectors as hash and length."""
    return {
        name: {"sha256": value.sha256, "length": len(value)}
        if isinstance(value, Vector) and len(value) > INLINE
        else _plain(value)
        for name, value in parameters.items()
    }


def parse_parameters(raw: Any, path: str, vectors: Vectors) -> dict[str, Parameter] | None:
    """Parameters from plain YAML values.

    **Arguments:**

    - `vectors`: what the file beside the plan holds.
    """
    if raw is None:
        return None
    if not isinstance(raw, Mapping):
        raise InputError(path, expected="a mapping from names to numbers", got=raw)
    return {
        str(name): _parse_parameter(value, f"{path}.{name}", vectors) for name, value in raw.items()
    }


def long_vectors(parameters: Mapping[str, Parameter]) -> Iterator[Vector]:
    """The vectors that go into the file beside the plan."""
    return (
        value for value in parameters.values() if isinstance(value, Vector) and len(value) > INLINE
    )


def write_vectors(vectors: Iterable[Vector], path: Path) -> None:
    """Writes the file beside a plan; without vectors there is none."""
    from safetensors.torch import save_file

    tensors = {
        vector.sha256: vector.values for vector in sorted(vectors, key=lambda vector: vector.sha256)
    }
    if tensors:
        save_file(tensors, path)


def read_vectors(name: Any, plan: Path) -> dict[str, Vector]:
    """Reads the file that lies beside a plan.

    **Raises:** `InputError` where it is missing, is no such file, or holds other numbers.
    """
    if not isinstance(name, str) or Path(name).name != name or not name.endswith(SUFFIX):
        raise InputError("vectors", expected=f"the name of a {SUFFIX} file beside it", got=name)
    path = plan.parent / name
    with reading("vectors", expected=f"a {SUFFIX} file beside the plan", got=str(path)):
        tensors = read_tensors(path, largest=_LARGEST_FILE)
        vectors = {key: Vector(values) for key, values in tensors.items()}
    for key, vector in vectors.items():
        if vector.sha256 != key:
            raise InputError(
                "vectors", expected=f"numbers whose hash is {key[:12]}...", got=vector.sha256[:12],
                hint=f"{path} was changed; copy it again or resolve the plan again",
            )  # fmt: skip
    return vectors


def parameters_to_lists(parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """All numbers, as lists: for JSON."""
    return {name: _plain(value) for name, value in parameters.items()}


def parameters_from_lists(raw: Json) -> dict[str, Parameter]:
    """Reverses `parameters_to_lists`."""
    return {
        name: value if isinstance(value, str) else Vector.of(value) for name, value in raw.items()
    }


def _plain(parameter: Parameter) -> Any:
    return parameter if isinstance(parameter, str) else parameter.tolist()


def _parse_parameter(raw: Any, path: str, vectors: Vectors) -> Parameter:
    if isinstance(raw, str):
        return raw
    if not isinstance(raw, Mapping):
        return Vector.of(numbers(raw, path))
    fields = Fields(raw, path)
    key = fields.required("sha256", fields.text("sha256", None))
    length = fields.integer("length")
    fields.done()
    if key not in vectors or length not in (None, len(vectors[key])):
        raise InputError(
            path, expected="a vector that the file beside the plan holds", got=f"{key[:12]}...",
            hint="keep the plan and its .safetensors file together",
        )  # fmt: skip
    return vectors[key]
