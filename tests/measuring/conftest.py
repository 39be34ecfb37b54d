"""A tiny checkpoint and a user's own tasks, as the study has them."""

from tests.study.conftest import (  # noqa: F401  (fixtures)
    checkpoint,
    lm,
    load,
    own_tasks,
    task_manager,
)
