"""Vectors as a control vector of llama.cpp: a GGUF file with a direction for each layer.

llama.cpp adds `direction.L` to what leaves block `L`, at every token, and knows none for block 0.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from sna_eval.errors import InputError
from sna_eval.export.format import ExportFormat
from sna_eval.export.source import Source

FILE_NAME = "control_vector.gguf"
_ARCHITECTURE = "controlvector"
_LOADING = """\
`llama-server --model MODEL.gguf --control-vector PATH/TO/THIS/FOLDER/{file}`, with {name} as a GGUF
file. Strengths are in the vectors, so it is loaded at scale 1."""


def write_control_vector(source: Source, folder: Path) -> None:
    """Writes the file.

    **Raises:** `InputError` for a vector on block 0, and without the package that writes GGUF.
    """
    other = [
        vector for vector in source.vectors if (vector.place, vector.action) != ("block", "add")
    ]
    if other:
        raise InputError(
            f"tasks.{source.task}.method", expected="vectors added behind blocks",
            got=f"{other[0].action} on {other[0].place}", hint="use --format steered",
        )  # fmt: skip
    if source.vectors[0].layer == 0:
        raise InputError(
            f"tasks.{source.task}.layer", expected="1 or more, for a control vector", got=0,
            hint="llama.cpp adds none behind the first block; use --format steered",
        )  # fmt: skip
    if find_spec("gguf") is None:
        raise InputError(
            "format", expected="the package `gguf`, which writes such files", got="control_vector",
            hint="pip install gguf",
        )  # fmt: skip
    from gguf import GGUFWriter

    writer = GGUFWriter(folder / FILE_NAME, _ARCHITECTURE)
    writer.add_string(f"{_ARCHITECTURE}.model_hint", source.model.config.model_type)
    writer.add_uint32(f"{_ARCHITECTURE}.layer_count", len(source.vectors))
    for vector in source.vectors:
        writer.add_tensor(f"direction.{vector.layer}", vector.values.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _loading(source: Source) -> str:
    return _LOADING.format(file=FILE_NAME, name=source.name)


FORMAT = ExportFormat(
    name="control_vector",
    what="a control vector for llama.cpp",
    library="llama.cpp",
    holds="vectors",
    write=write_control_vector,
    loading=_loading,
)
