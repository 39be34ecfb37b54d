"""The processes of one run, and how they agree.

In a data-parallel run each process holds the whole model and answers its share of the documents; in
a tensor-parallel run all of them answer every document together, each with its part of every
weight. lm_eval's own gathering of results is left to lm_eval; here is what it does not know of:
plans, which must be the same everywhere, and the counts of what was done.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from sna_eval.errors import InputError

if TYPE_CHECKING:
    from lm_eval.models.huggingface import HFLM

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """This process among those of its run."""

    rank: int = 0
    size: int = 1
    sharded: bool = False
    """Whether the processes hold one model together, not a copy each."""

    @property
    def first(self) -> bool:
        """Whether this is the process that speaks and writes for all."""
        return self.rank == 0

    @property
    def share(self) -> tuple[int, int]:
        """Rank and number of processes that the documents are divided among."""
        return (0, 1) if self.sharded else (self.rank, self.size)

    def agreed(self, compute: Callable[[], T]) -> T:
        """What the first process computed, on all of them; an `InputError` of its too.

        All processes must call it in the same order. Those that hold the model together compute
        together; of those that hold copies only the first does.
        """
        if self.size == 1:
            return compute()
        outcome: list[Any] = [None]
        if self.first or self.sharded:
            try:
                outcome = [compute()]
            except InputError as error:
                outcome = [error]
        torch.distributed.broadcast_object_list(outcome, src=0)
        if isinstance(outcome[0], InputError):
            raise outcome[0]
        answer: T = outcome[0]
        return answer

    def collected(self, value: T) -> list[T]:
        """The values of all shares on the first process, in order; elsewhere this one's alone."""
        if self.size == 1 or self.sharded:
            return [value]
        values: list[Any] | None = [None] * self.size if self.first else None
        torch.distributed.gather_object(value, values, dst=0)
        return [value] if values is None else values


def ranks_of(accelerator: Any | None, *, sharded: bool) -> Ranks:
    """The processes that a loaded model runs in.

    **Arguments:**

    - `accelerator`: HFLM's, `None` where it has none.
    - `sharded`: whether transformers divided the model's weights among the processes.
    """
    if sharded and torch.distributed.is_available() and torch.distributed.is_initialized():
        return Ranks(torch.distributed.get_rank(), torch.distributed.get_world_size(), sharded=True)
    if accelerator is None or accelerator.num_processes == 1:
        return Ranks()
    return Ranks(accelerator.process_index, accelerator.num_processes)


def join_launched(device: str, *, tp_plan: Any = None) -> None:
    """Lets accelerate see the other processes of a launcher on CPUs, where it looks only if told.

    To be called before HFLM makes its accelerator; does nothing on a GPU or under no launcher.

    **Arguments:**

    - `device`: as HFLM is given it; a GPU that is not there means the CPU.

    **Raises:** `InputError` for a `tp_plan` under no launcher.
    """
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if tp_plan is not None and "LOCAL_RANK" not in os.environ:
        raise InputError(
            "tp_plan", expected="processes that share the model", got="one process",
            hint="start lm_eval by torchrun --nproc_per_node N -m lm_eval",
        )  # fmt: skip
    on_cpu = device == "cpu" or (device.startswith("cuda") and not torch.cuda.is_available())
    if tp_plan is not None or not on_cpu or processes == 1:
        return
    from accelerate import PartialState

    PartialState(cpu=True, timeout=timedelta(weeks=52))  # as long as HFLM lets them wait


@contextmanager
def on_its_own(lm: HFLM) -> Iterator[None]:
    """lm_eval's model methods wait for no other process in the body.

    HFLM evens out the number of windows and the size of batches over all processes, and so must be
    called equally often by all; what only this one has to do is its own affair.
    """
    world, lm._world_size = lm._world_size, 1
    try:
        yield
    finally:
        lm._world_size = world


def asked_for(requests: Sequence[Any]) -> list[bool]:
    """For each request whether it is here for the first time, and so counts as an item.

    A task may want several answers to one request, and lm_eval hands a process that has fewer
    requests than others its last one again and again.
    """
    seen: set[int] = set()
    answers = []
    for request in requests:
        answers.append(id(request) not in seen)
        seen.add(id(request))
    return answers
