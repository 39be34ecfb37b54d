"""Small random dictionaries on disk, and what they do to a state by this file's own arithmetic."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

FEATURES = 48
THRESHOLD = 0.6


def random_tensors(width: int, *, features: int = FEATURES, seed: int = 0) -> dict[str, Any]:
    """In sae_lens' names and shapes."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) / width**0.5

    return {
        "W_enc": drawn(width, features),
        "b_enc": drawn(features),
        "W_dec": drawn(features, width),
        "b_dec": drawn(width),
    }


def write_sae_lens(folder: Path, width: int, hook: str, /, **config: Any) -> Path:
    """A folder as sae_lens 6 writes it; `architecture` is `standard` unless it is said."""
    tensors = random_tensors(width, features=config.pop("features", FEATURES))
    told = {
        "architecture": "standard", "d_in": width, "d_sae": len(tensors["b_enc"]),
        "dtype": "float32", "device": "cpu", "apply_b_dec_to_input": True,
        "normalize_activations": "none", "reshape_activations": "none",
        "metadata": {"hook_name": hook, "model_name": "tiny"}, **config,
    }  # fmt: skip
    if told["architecture"] == "jumprelu":
        tensors["threshold"] = torch.full_like(tensors["b_enc"], THRESHOLD)
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()},
              folder / "sae_weights.safetensors")  # fmt: skip
    (folder / "cfg.json").write_text(json.dumps(told))
    return folder


def write_sparsify(folder: Path, width: int, **config: Any) -> Path:
    """A folder as sparsify writes it; its name is the hook point."""
    drawn = random_tensors(width)
    tensors = {
        "encoder.weight": drawn["W_enc"].T.contiguous(), "encoder.bias": drawn["b_enc"],
        "W_dec": drawn["W_dec"], "b_dec": drawn["b_dec"],
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "sae.safetensors")
    told = {"activation": "topk", "k": 5, "num_latents": FEATURES, "d_in": width, **config}
    (folder / "cfg.json").write_text(json.dumps(told))
    return folder


def amplified_by_hand(
    state: torch.Tensor,
    features: tuple[int, ...],
    factor: float,
    *,
    kind: str = "relu",
    k: int = 5,
    by_norm: bool = False,
    shifted: bool = True,
) -> torch.Tensor:
    """`x + sum over i of (m - 1) * a_i * W_dec[i]`, feature by feature, in float64."""
    tensors = {name: value.double() for name, value in random_tensors(state.shape[-1]).items()}
    x = state.double()
    before = torch.einsum(
        "...d,df->...f", x - (tensors["b_dec"] if shifted else 0), tensors["W_enc"]
    )
    before = before + tensors["b_enc"]
    norms = tensors["W_dec"].norm(dim=1) if by_norm else torch.ones(len(tensors["b_enc"]))
    for i in features:
        a = before[..., i].clamp_min(0)
        if kind == "jumprelu":
            a = torch.where(before[..., i] > THRESHOLD, a, torch.zeros_like(a))
        if kind == "topk":
            scored = before * norms
            rank = (scored > scored[..., i : i + 1]).sum(-1)
            a = torch.where(rank < k, a, torch.zeros_like(a))
        x = x + (factor - 1) * a.unsqueeze(-1) * tensors["W_dec"][i]
    return x.to(state.dtype)
