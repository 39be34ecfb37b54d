"""Makes the released `lm_eval` know the model types `sna`, ..., without patching it.

`sna_eval.pth` imports this module when Python starts. It places one finder on `sys.meta_path`,
which waits for the import of `lm_eval.models`, lets it run, and then registers a lazy placeholder
the way lm_eval registers its own models. Registering earlier would leave the registry non-empty,
and lm_eval would then never register its built-in models.

It imports nothing that Python has not loaded already, and a Python that never imports lm_eval
notices nothing. Set `SNA_EVAL_NO_STARTUP=1` to switch it off. Releases of lm_eval that read the
entry-point group `lm_eval.models` find the same entry there, and the two agree; in a checkout that
is not installed, their `--plugins sna_eval_startup` does what the `.pth` file would.
"""

import os
import sys

_TRIGGER = "lm_eval.models"
_MODELS = {
    "sna": "sna_eval.harness.lm:SNALM",
    "sna-completions": "sna_eval.serving.completions:SNACompletions",
    "sna-vllm": "sna_eval.serving.vllm_engine:SNAVLLM",
}


def register_model() -> None:
    from importlib.metadata import EntryPoint

    from lm_eval.api.registry import model_registry

    for model in _MODELS.keys() - set(model_registry):
        # An EntryPoint equals the one a later lm_eval reads itself, so that never collides.
        placeholder = EntryPoint(name=model, value=_MODELS[model], group="lm_eval.models")
        model_registry.register(model, target=placeholder)


def _register_or_say_so() -> None:
    try:
        register_model()
    except Exception as error:
        print(f"sna-eval: model type 'sna' not registered: {error}", file=sys.stderr)


class _AfterLmEvalModels:
    """Meta-path finder that acts once, when `lm_eval.models` runs, and then leaves."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):  # type: ignore[no-untyped-def]
        if name != _TRIGGER:
            return None
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return spec
        run_module = spec.loader.exec_module

        def exec_module(module):  # type: ignore[no-untyped-def]
            if cls in sys.meta_path:  # whoever only asks where a module lies runs none
                sys.meta_path.remove(cls)
            run_module(module)
            _register_or_say_so()

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


if not os.environ.get("SNA_EVAL_NO_STARTUP"):
    if _TRIGGER in sys.modules:
        _register_or_say_so()
    else:
        sys.meta_path.insert(0, _AfterLmEvalModels)  # type: ignore[arg-type]
