"""Control: the neurons that the ranking of `sna` puts last.

For `differential` those that respond least to the task compared with neutral text; for
`contrastive` those that tell the two classes apart least; for `attribution` and `gradient`
those whose activations take most from the right answers.
"""

from __future__ import annotations

from sna_eval.methods.method import Examples, Method, MethodConfig, Resolution, Workbench, searched


def find(bench: Workbench, examples: Examples, wanted: MethodConfig) -> Resolution:
    """As many neurons as `sna` would choose at most, from the other end."""
    return Resolution(searched(bench, examples, wanted).last(wanted.layer, wanted.top_k).selected)


METHOD = Method("bottom_neurons", find, needs_ranking=True)
