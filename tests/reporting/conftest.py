"""The sweeps of `tests/study`, for the report to show."""

from tests.study.conftest import (  # noqa: F401
    checkpoint,
    lm,
    load,
    own_tasks,
    store,
    sweep_of,
    task_manager,
)
