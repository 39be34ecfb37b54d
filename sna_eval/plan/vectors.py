"""Numbers that methods learned, in plan files: short ones inline, long ones in a file beside it.

A plan names a long vector by the hash of its bytes, so its own fingerprint covers the numbers; the
file beside it, in the safetensors format, holds them under these hashes. Reading it runs no code.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sna_eval.errors import InputError, reading
from sna_eval.files import read_tensors
from sna_eval.intervention import Vector
from sna_eval.methods import Parameter
from sna_eval.plan.reading import Fields, numbers

INLINE = 64
"""Numbers that a plan file holds itself; longer vectors go into the file beside it."""
SUFFIX = ".safetensors"
_LARGEST_FILE = 256 * 2**20  # bytes; a thousand vectors of 50,000 numbers take 200 MB

Vectors = Mapping[str, Vector]
"""Vectors by the hash of their bytes."""


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
    return {str(name): _parse(value, f"{path}.{name}", vectors) for name, value in raw.items()}


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


def parameters_from_lists(raw: Mapping[str, Any]) -> dict[str, Parameter]:
    """Reverses `parameters_to_lists`."""
    return {
        name: value if isinstance(value, str) else Vector.of(value) for name, value in raw.items()
    }


def _plain(parameter: Parameter) -> Any:
    return parameter if isinstance(parameter, str) else parameter.tolist()


def _parse(raw: Any, path: str, vectors: Vectors) -> Parameter:
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
