"""Registers the model type `sna` in a running Python, for callers that cannot wait for start-up."""

from __future__ import annotations


def register() -> None:
    """Makes `get_model("sna")` work and our metrics known; does nothing where they already are."""
    import lm_eval.models  # noqa: F401  (fills the registry first: built-in models must stay)

    import sna_eval.harness.metric_names  # noqa: F401  (whatever the model, tasks may name them)
    from sna_eval_startup import register_model

    register_model()
