"""Contrastive neuron attribution: the neurons that tell two kinds of prompts apart most, anywhere.

Source: Herring, Naviasky and Malhotra (2026), arXiv:2605.12290, section 3. With `a_j(x)` the
activation of MLP neuron `j`, of any layer, at the last token of prompt `x`,

    delta_j = mean over positive prompts of a_j - mean over negative prompts of a_j

and the neurons are the 0.1 % of all with the largest `|delta_j|`, without those that are among the
0.1 % most active on at least 80 % of unrelated prompts (`neurons.universal`). Each is multiplied by
one factor at every token. The paper's factors are mostly below 1: what it takes away is refusal.

This is `sna` with another search, which a plan may change key by key: `method: absolute`,
`pooling: last`, `across_layers: true`, `share: 0.001`, `drop_universal: true`. The two kinds of
prompts are those of a file, `prompts: pairs.jsonl`; without one they are the task's development
prompts and neutral text. Universal neurons are left out before the top is taken, so that it has as
many neurons as are asked for. The authors' program passes over the two lowest layers as well, which
is not done here. At a last token `sinks` is of no account.
"""

from __future__ import annotations

from sna_eval.methods.method import Method
from sna_eval.methods.sna import find

METHOD = Method(
    "cna",
    find,
    select={
        "method": "absolute",
        "pooling": "last",
        "across_layers": True,
        "share": 0.001,
        "drop_universal": True,
    },
)
