"""`sna-eval verify`: loads the reference, asks the copy, compares."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from sna_eval.errors import InputError
from sna_eval.export.record import RECORD_NAME, read_object, read_record
from sna_eval.harness.loading import model_arguments
from sna_eval.harness.scoring.ledger import Ledger
from sna_eval.plan import Plan, check_model
from sna_eval.serving.adapters import Adapters
from sna_eval.serving.completions_model import CompletionsModel
from sna_eval.serving.local_model import LocalModel
from sna_eval.serving.passes import ServedScores
from sna_eval.serving.plans import ServedPlans
from sna_eval.serving.probes import probe_items
from sna_eval.serving.served_model import ScoredModel
from sna_eval.serving.verifying import (
    TOLERANCE,
    Scored,
    Verification,
    asked_in_turn,
    compare,
    scored,
)
from sna_eval.typed import Json


def verify(
    folder: Path,
    *,
    url: str | None = None,
    base: str | None = None,
    adapter: str | None = None,
    model_args: str = "",
    texts: int = 32,
    tolerance: float | None = None,
) -> Verification:
    """Holds a served export against its plan.

    **Arguments:**

    - `folder`: of the export.
    - `url`: of a server with the export under the name `adapter` and its base model under `base`;
        `None`: the export is loaded here, with PEFT.
    - `model_args`: the reference's; what is not given is as the export says.
    - `tolerance`: in nats, `None` for the usual one.

    **Raises:** `InputError` where there is no export, no model or no server.
    """
    from sna_eval.harness.lm import SNALM

    task, plan, made_for = _recorded(folder)
    given = {**_reference(made_for), **model_arguments(model_args)}
    lm = SNALM(**{**given, "gate": "never", "report_baseline": False})
    lm.plan = plan
    check_model(plan, lm.sites)
    weights = _other_weights(lm.model_hash, made_for)  # before an adapter is put on them
    items = probe_items(task, texts, lm.bench.pair)
    here = scored(lm.passes, lm.plans, items, quiet=True)
    adapters = Adapters(lambda task, scalings: adapter or "adapter")
    plans = ServedPlans(plan, adapters, lm.bench.pair)
    missing: tuple[str, ...] = ()
    server: CompletionsModel | None = None
    if url is None:
        model: ScoredModel = LocalModel.load(lm.model, folder, max_length=lm.max_length)
    else:
        assert base is not None
        assert adapter is not None
        server, missing = _server(url, base, adapter, given, adapters)
        model = server
    if missing:
        return Verification(float("nan"), float("nan"), _effect(here), 0.0, 0, 0, texts, missing)
    served = scored(ServedScores(model, adapters, Ledger()), plans, items, quiet=True)
    together = None
    if server is not None and adapter is not None:
        together = asked_in_turn(server.at_the_same_time(), adapter, items)
    found = compare(
        plan.tasks[task], here, served, together=together, tolerance=tolerance or TOLERANCE
    )
    return replace(found, problems=(*weights, *found.problems))


def _recorded(folder: Path) -> tuple[str, Plan, Json]:
    recorded = read_record(folder)
    if recorded is None:
        raise InputError(
            "export", expected=f"a folder of `sna-eval export`, with its {RECORD_NAME}",
            got=str(folder),
        )  # fmt: skip
    made_for = read_object(folder / RECORD_NAME).get("base_model")
    return *recorded, made_for if isinstance(made_for, dict) else {}


def _reference(made_for: Json) -> dict[str, Any]:
    names = {"pretrained": "name", "revision": "revision", "gguf_file": "gguf_file"}
    found = {field: made_for.get(name) for field, name in names.items()}
    return {"dtype": "float32", **{field: value for field, value in found.items() if value}}


def _server(
    url: str, base: str, adapter: str, given: Json, adapters: Adapters
) -> tuple[CompletionsModel, tuple[str, ...]]:
    from sna_eval.serving.completions import SNACompletions

    tokenizer = given.get("tokenizer") or given["pretrained"]
    lm = SNACompletions(url, model=base, tokenizer=tokenizer, gate="never", num_concurrent=8)
    if lm.cards and adapter not in lm.cards:
        listed = ", ".join(lm.cards)
        said = (f"not loaded: the server has no model called {adapter} ({listed})",)
        return lm.served, said
    return replace(lm.served, adapters=adapters), ()


def _effect(here: Scored) -> float:
    return float(abs(here.effect).max())


def _other_weights(model_hash: str, made_for: Json) -> tuple[str, ...]:
    """Whether the reference is the model that the export was made for."""
    if made_for.get("model_hash") in (None, model_hash):
        return ()
    return ("the model loaded here has other weights than the one the export was made for",)
