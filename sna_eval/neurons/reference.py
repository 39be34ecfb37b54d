"""The neutral text that neurons are compared on, and its statistics, found once per model.

They are kept in the cache folder under the hash of all they depend on: the model's weights and
config, its dtype, kind of device and the versions that run it, the text's tokens, and which of them
count.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from typing import Any

import torch

from sna_eval.cache import read_entry, write_entry
from sna_eval.hashing import digest
from sna_eval.intervention.decoder import config_fingerprint
from sna_eval.neurons.bench import Workbench
from sna_eval.neurons.progress import SILENT, Progress
from sna_eval.neurons.statistics import Pooling, Sinks, summed_activations
from sna_eval.paths import neutral_text_path

_RULES = 1
"""To be raised where the same model and text are to give other statistics."""


@cache
def neutral_sentences() -> tuple[str, ...]:
    """Plain declarative sentences, written for this project."""
    lines = neutral_text_path().read_text(encoding="utf-8").splitlines()
    return tuple(line.strip() for line in lines if line.strip())


def reference_means(
    bench: Workbench,
    texts: Sequence[str],
    layers: Sequence[int],
    *,
    pooling: Pooling,
    sinks: Sinks,
    progress: Progress = SILENT,
) -> Mapping[int, torch.Tensor]:
    """Mean activations on neutral text, `{layer: [d_mlp]}`: remembered, looked up, or found.

    All layers up to the highest of those asked for are found at once, as the pass runs them anyway.

    **Arguments:**

    - `sinks`: as it was settled with the prompts that these means are set beside.
    """
    rows = bench.rows(texts)
    name = digest([_RULES, _settings(bench), [list(row) for row in rows], pooling, sinks])
    known = bench.neutral.get(name, {})
    if not set(layers) <= known.keys():
        known = _decoded(bench.same(lambda: read_entry(name)), bench.sites.n_units)
    if not set(layers) <= known.keys():
        below = [layer for layer in bench.sites.layers if layer <= max(layers)]
        progress.expect(len(rows))
        (sums,) = summed_activations(
            bench.model, bench.sites, rows, [0] * len(rows), layers=below, pooling=pooling,
            sinks=sinks, progress=progress,
        ).values()  # fmt: skip
        known = sums.means()
        write_entry(
            name, {"layers": {str(layer): _encoded(means) for layer, means in known.items()}}
        )
    bench.neutral[name] = known
    return known


def _settings(bench: Workbench) -> list[Any]:
    """What the model computes depends on."""
    parameter = next(bench.model.parameters())
    return [
        bench.model_hash, config_fingerprint(bench.model), str(parameter.dtype), bench.device.type,
        version("torch"), version("transformers"),
        *bench.sites.described.values(),
    ]  # fmt: skip


def _encoded(means: torch.Tensor) -> str:
    """Numbers as they are, to the bit, in a text that JSON takes."""
    return base64.b64encode(means.numpy().tobytes()).decode("ascii")


def _decoded(entry: Mapping[str, Any] | None, d_mlp: int) -> dict[int, torch.Tensor]:
    """Means that were kept; none where an entry is none of ours."""
    try:
        kept = {
            int(layer): torch.frombuffer(
                bytearray(base64.b64decode(text, validate=True)), dtype=torch.float64
            )
            for layer, text in (entry or {})["layers"].items()
        }
    except (LookupError, TypeError, ValueError, AttributeError):
        return {}
    return kept if all(len(means) == d_mlp for means in kept.values()) else {}
