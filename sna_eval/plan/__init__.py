"""What is done to which task, behind which gate: load, check, resolve, fingerprint, save."""

from sna_eval.cache import prompt_fingerprint
from sna_eval.intervention.decoder import model_fingerprint
from sna_eval.neurons import UNLABELLED
from sna_eval.plan.applying import (
    entry_interventions,
    match_pattern,
    match_task,
    plain_interventions,
)
from sna_eval.plan.files import (
    acting_fingerprint,
    bundled_plans,
    load_plan,
    neurons_fingerprint,
    parse_plan,
    plan_fingerprint,
    plan_to_dict,
    save_plan,
    task_fingerprint,
)
from sna_eval.plan.inline import PlanArguments, plan_from_arguments
from sna_eval.plan.resolving import check_model, check_task, resolve_task
from sna_eval.plan.schema import (
    ModelSpec,
    Plan,
    PlannedIntervention,
    TaskPlan,
)
from sna_eval.plan.selection import ChoiceRecord, Provenance, Selection

__all__ = [
    "UNLABELLED",
    "ChoiceRecord",
    "ModelSpec",
    "Plan",
    "PlanArguments",
    "PlannedIntervention",
    "Provenance",
    "Selection",
    "TaskPlan",
    "acting_fingerprint",
    "bundled_plans",
    "check_model",
    "check_task",
    "entry_interventions",
    "load_plan",
    "match_pattern",
    "match_task",
    "model_fingerprint",
    "neurons_fingerprint",
    "parse_plan",
    "plain_interventions",
    "plan_fingerprint",
    "plan_from_arguments",
    "plan_to_dict",
    "prompt_fingerprint",
    "resolve_task",
    "save_plan",
    "task_fingerprint",
]
