"""Finds out by trying what a model's forward pass allows.

No table of architectures: a short random text is scored the fast and the plain way, and a fast way
is used only where both agree. Whatever raises or disagrees falls back to plain full passes.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

import torch
from torch import nn

from sna_eval.errors import InputError
from sna_eval.intervention.decoder import input_device, steady_width, text_config
from sna_eval.intervention.forward import Abilities, Assigned, Engine, RowScore
from sna_eval.intervention.rows import Batch, Row, Tokens, trial_tokens
from sna_eval.intervention.shortcuts import Prefix, fits_window
from sna_eval.intervention.sites import Sites
from sna_eval.intervention.spec import Intervention

_LOGGER = logging.getLogger(__name__)
_TOLERANCE = {
    torch.float64: 1e-4,  # some models compute their softmax or their states in float32 anyway
    torch.float32: 1e-4, torch.float16: 5e-2, torch.bfloat16: 2e-1,
}  # fmt: skip
"""Largest difference in log-probability that still counts as agreement: about twenty times what
two batch sizes of one model differ by, and far below what a wrong mask or position does."""
_TEXTS = 4
"""Texts that a way is tried on: in half precision one alone may come out right by chance."""
_LONG_TEXT = 33
"""Tokens of the texts that sharing a row is tried on."""


def probe(model: nn.Module, sites: Sites) -> Abilities:
    """Tries resuming and packing on a short random text.

    **Raises:** `InputError` where tokens see later ones: rows are padded, so scores would be wrong.
    """
    returns_tuple = _returns_tuple(model, sites)
    engine = Engine(model, sites, Abilities(returns_tuple=returns_tuple))
    tokens = trial_tokens(model, 12 * _TEXTS)
    _check_causal(engine, tokens)
    resumes = _attempt(_resumes, engine, tokens)
    packs = _is_steady(model) and _attempt(_packs, engine, tokens)
    shares = resumes and _attempt(_shares_prefix, engine, tokens)
    for able, what in (
        (resumes, "be resumed at a block"),
        (packs, "hold several choices in a row"),
        (shares, "go on from a common beginning"),
    ):
        if not able:
            _LOGGER.info("%s: passes cannot %s; plain passes are used", sites.architecture, what)
    return Abilities(resumes, packs, shares, returns_tuple)


def _is_steady(model: nn.Module) -> bool:
    """Whether the longest texts that a model reads are computed as short ones are.

    Those that sharing a row is tried on are short.
    """
    longest = getattr(text_config(model), "max_position_embeddings", None)
    return steady_width(model) >= (math.inf if longest is None else longest)


def _check_causal(engine: Engine, tokens: Tokens) -> None:
    """A row that is padded, beside a longer one in its batch, scores as it does alone."""
    short, long = Row(tokens[:4], (tokens[4:6],)), Row(tokens[3:9], (tokens[9:12],))
    alone, _ = engine.run(Batch([short], engine.device))
    beside, _ = engine.run(Batch([short, long], engine.device))
    if not _agree(engine, alone, beside[:1]):
        raise InputError(
            "pretrained",
            expected="a decoder, whose tokens do not see later ones",
            got=engine.sites.architecture,
            hint="encoders need `is_decoder: true` in their config",
        )


def _resumes(engine: Engine, tokens: Tokens) -> bool:
    """A pass resumed at a block, for some rows of a batch, equals the full pass.

    Tried at the middle block and at the last, which in some models looks at what earlier blocks
    left for it elsewhere than in the residual stream.
    """
    rows = [
        row
        for text in _texts(tokens)
        for row in (Row(text[:6], (text[6:9],)), Row(text[3:9], (text[9:12],)))
    ]
    all_rows, rest = Batch(rows, engine.device), Batch(rows[1:], engine.device)
    layers = (_middle(engine.sites), engine.sites.layers[-1])
    _, captured = engine.run(all_rows, capture=layers)
    for layer in dict.fromkeys(layers):
        assigned = [Assigned(_some(engine.sites, layer), _every(rest))]
        fast = engine.amplified(rest, assigned, hidden=captured[layer][1:])
        if not _agree(engine, fast, engine.amplified(rest, assigned)):
            return False
    return True


def _packs(engine: Engine, _: Tokens) -> bool:
    """A continuation behind another in one row scores as it does in a row of its own.

    The other is long and the sums are in float32, so that whatever sees its words, or its own place
    behind them, is far off in half precision too.
    """
    if "local" in (getattr(engine.model.config, "attention_layers", None) or ()):
        return False  # GPT-Neo's windows go by place in the row, not by position
    positions = getattr(text_config(engine.model), "max_position_embeddings", None) or _LONG_TEXT
    length = min(_LONG_TEXT, positions)
    texts = _texts(trial_tokens(engine.model, length * _TEXTS))
    shared = [Row(text[:5], (text[5:-4], text[-4:])) for text in texts]
    alone = [Row(text[:5], (text[-4:],)) for text in texts]
    second = engine.log_likelihoods(Batch(shared, engine.device))[1::2]
    return _close(engine, second, engine.log_likelihoods(Batch(alone, engine.device)))


def _shares_prefix(engine: Engine, tokens: Tokens) -> bool:
    """Rows that go on from a cache, plain and resumed, score as whole rows do."""
    if not fits_window(engine.model, len(tokens) // _TEXTS):
        return False
    layer = _middle(engine.sites)
    prefix = Prefix(tokens[:4])
    rows = [
        row
        for text in _texts(tokens)
        for row in (
            Row((*prefix.tokens, *text[4:6]), (text[6:8],)),
            Row((*prefix.tokens, text[9]), (text[10:11],)),
        )
    ]
    short, whole = (Batch(rows, engine.device, skip=skip) for skip in (4, 0))
    baseline, captured = engine.run(short, capture=[layer], prefix=prefix)
    assigned = [Assigned(_some(engine.sites, layer), _every(short))]
    resumed = engine.amplified(short, assigned, hidden=captured[layer], prefix=prefix)
    return _agree(engine, baseline, engine.run(whole)[0]) and _agree(
        engine, resumed, engine.amplified(whole, assigned)
    )


def _some(sites: Sites, layer: int) -> Intervention:
    return Intervention(layer, tuple(range(min(4, sites.d_mlp))), 2.0)


def _every(batch: Batch) -> torch.Tensor:
    return torch.ones(len(batch.rows), dtype=torch.bool, device=batch.device)


def _texts(tokens: Tokens) -> list[Tokens]:
    """Tokens cut into texts of equal length."""
    length = len(tokens) // _TEXTS
    return [tokens[start : start + length] for start in range(0, len(tokens), length)]


def _middle(sites: Sites) -> int:
    """A layer that has neurons, and blocks before it where any such has."""
    return sites.layers[len(sites.layers) // 2]


def _attempt(test: Callable[[Engine, Tokens], bool], engine: Engine, tokens: Tokens) -> bool:
    try:
        return test(engine, tokens)
    except Exception as error:  # any failure means that this way is not open
        _LOGGER.debug("probe failed: %s", error)
        return False


def _agree(engine: Engine, fast: list[RowScore], plain: list[RowScore]) -> bool:
    first, second = (
        torch.tensor([branch.log_likelihood for row in rows for branch in row.branches])
        for rows in (fast, plain)
    )
    return _close(engine, first, second)


def _close(engine: Engine, first: torch.Tensor, second: torch.Tensor) -> bool:
    dtype = next(engine.model.parameters()).dtype
    return bool((first - second).abs().max() <= _TOLERANCE.get(dtype, 2e-1))


def _returns_tuple(model: nn.Module, sites: Sites) -> bool:
    kinds: list[bool] = []
    handle = sites.blocks[0].register_forward_hook(
        lambda module, args, output: kinds.append(isinstance(output, (tuple, list)))
    )
    try:
        with torch.no_grad():
            ids = torch.tensor([trial_tokens(model, 2)], device=input_device(model))
            model(ids, use_cache=False)
    finally:
        handle.remove()
    return kinds[0] if kinds else False
