"""Temperature: one number that divides the logits, the smallest rival of all.

Source: Guo et al. (2017), arXiv:1706.04599, section 4.2: `T` minimizes the negative log-likelihood
of `softmax(z / T)` on held-out data, here over the tokens of the development items' right answers.
It never changes which token is likeliest: what it gains in probability is confidence alone.

In `beta = 1 / T` the loss is convex: its slope is `E[z] - z_target` and its curvature the variance
of `z`, both under `softmax(beta z)`; Newton steps that stay in bounds find the minimum.

`equal_entropy_temperature` is the other way to set it: as sharp as another method makes the model,
so that what remains of that method's gain is not sharpness alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from sna_eval.errors import InputError
from sna_eval.intervention import Affine, Batch, LogitScaling, Row, Vector
from sna_eval.intervention.forward import scored_positions_only
from sna_eval.methods.method import Examples, Fitted, Method, MethodConfig, Resolution, Workbench

BOUNDS = (0.05, 20.0)
"""Temperatures that are considered."""
_STEPS = 50
_CHUNK = 256  # positions whose distributions are worked on at once


def find(bench: Workbench, examples: Examples, wanted: MethodConfig) -> Resolution:
    """The temperature; its layer is the last, where a pass may resume most cheaply."""
    rows = [bench.answered_row(answered) for answered in examples.answered()]
    logits, targets = _logits(bench, rows)
    value = fit_temperature(logits, targets)
    return Resolution(
        parameters={"temperature": Vector.of([value])},
        remarks={"n_tokens": len(targets)},
        layer=bench.sites.layers[-1],
    )


def build(fitted: Fitted) -> tuple[Affine, ...]:
    """Strength blends on the logarithm: `T ** strength`."""
    fitted.only("temperature")
    value = fitted.number("temperature")
    if value <= 0:
        raise InputError("parameters.temperature", expected="a number above 0", got=value)
    try:
        blended = value**fitted.strength
    except OverflowError:
        blended = math.inf
    return (LogitScaling(fitted.layer, blended),)


def fit_temperature(logits: torch.Tensor, targets: torch.Tensor) -> float:
    """The temperature of least negative log-likelihood.

    **Arguments:**

    - `logits`: `[token, vocabulary]`.
    - `targets`: the right token of each, `[token]`.
    """
    low, high = 1 / BOUNDS[1], 1 / BOUNDS[0]
    if _slope(logits, targets, high)[0] <= 0:
        return BOUNDS[0]
    if _slope(logits, targets, low)[0] >= 0:
        return BOUNDS[1]
    beta = 1.0
    for _ in range(_STEPS):
        slope, curvature = _slope(logits, targets, beta)
        low, high = (beta, high) if slope < 0 else (low, beta)
        step = beta - slope / curvature if curvature > 0 else math.inf
        following = step if low < step < high else (low + high) / 2
        if abs(following - beta) <= 1e-12 * beta:
            break
        beta = following
    return 1 / beta


def equal_entropy_temperature(logits: torch.Tensor, entropy: float) -> float:
    """The temperature at which distributions have a mean entropy, found by bisection.

    **Arguments:**

    - `logits`: `[row, vocabulary]`; log-probabilities do as well.
    - `entropy`: in nats.

    **Returns:** a number within `BOUNDS`; the nearer of these where none inside has the entropy.
    """
    low, high = (math.log(bound) for bound in BOUNDS)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _mean_entropy(logits, math.exp(middle)) < entropy:
            low = middle
        else:
            high = middle
    return math.exp((low + high) / 2)


def _mean_entropy(logits: torch.Tensor, temperature: float) -> float:
    total = 0.0
    for part in logits.split(_CHUNK):
        log_probs = torch.log_softmax(part.double() / temperature, dim=-1)
        total -= float((log_probs.exp() * log_probs).sum())
    return total / len(logits)


def _slope(logits: torch.Tensor, targets: torch.Tensor, beta: float) -> tuple[float, float]:
    """First and second derivative of the summed loss by `beta`."""
    slope, curvature = 0.0, 0.0
    for start in range(0, len(targets), _CHUNK):
        part = logits[start : start + _CHUNK].double()
        weights = torch.softmax(beta * part, dim=-1)
        mean = (weights * part).sum(dim=-1)
        chosen = part.gather(1, targets[start : start + _CHUNK].unsqueeze(1)).squeeze(1)
        slope += float((mean - chosen).sum())
        curvature += float((weights * (part - mean.unsqueeze(1)) ** 2).sum())
    return slope, curvature


@torch.no_grad()
def _logits(bench: Workbench, rows: Sequence[Row]) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits at every token of the right answers, and those tokens."""
    logits, targets = [], []
    for start in range(0, len(rows), bench.batch_size):
        batch = Batch(rows[start : start + bench.batch_size], bench.device)
        with scored_positions_only(bench.model, batch) as pick:
            batch_logits = pick(bench.model(batch.input_ids, use_cache=False).logits)
        logits.append(batch_logits[batch.reads].float().cpu())
        targets.append(batch.targets.cpu())
    return torch.cat(logits), torch.cat(targets)


METHOD = Method(
    "temperature", find, build, needs_layer=False, fixed_positions=True, needs_answers=True
)
