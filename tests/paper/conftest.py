"""The sweeps of `tests/study`, for the paper's figures to be judged on."""

from tests.study.conftest import (  # noqa: F401
    checkpoint,
    lm,
    load,
    own_tasks,
    store,
    sweep_of,
    task_manager,
)
