"""A claim and its nulls, portion by portion, taken up where a run was stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sna_eval.intervention import Affine
from sna_eval.measuring.moved import Moved
from sna_eval.study.bars import PartsBar
from sna_eval.study.nulls.keeping import NullFiles
from sna_eval.study.nulls.options import NullOptions
from sna_eval.study.nulls.plan_search import PlanSearch
from sna_eval.study.nulls.records import Found, SearchedNull
from sna_eval.study.nulls.task_search import TaskSearch

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM

PORTION = 20
"""Draws that are worked on together; a batch must not depend on what is left to do."""
Draw = Callable[[TaskSearch, range, Moved], list[Found]]
"""Searches some of a task's random rankings, and tells of them as they are done."""


def draw_here(search: TaskSearch, numbers: range, moved: Moved) -> list[Found]:
    """In this process."""
    return search.nulls(numbers, moved)


def searched_null(
    lm: SNALM,
    name: str,
    task: Any,
    options: NullOptions | None = None,
    *,
    output: str | Path | None = None,
    quiet: bool = False,
) -> SearchedNull:
    """A claim on one task, and the same search with random rankings.

    **Arguments:**

    - `name`, `task`: an lm_eval task with development items.
    - `output`: folder that finished draws are kept in; a run that was stopped goes on there.

    **Raises:** `InputError` where halves of the development items cannot be made, and where the
    folder holds another search; `NoGradients` for a model without.
    """
    options = options or NullOptions()
    return run_search(TaskSearch(lm, name, task, options), output=output, quiet=quiet)


def plan_null(
    lm: SNALM,
    name: str,
    task: Any,
    together: Sequence[Affine],
    options: NullOptions | None = None,
    *,
    across: bool = False,
    output: str | Path | None = None,
    quiet: bool = False,
) -> SearchedNull:
    """What a plan does to a task among searches with random rankings, which push as far.

    **Arguments:**

    - `together`: the plan's interventions. How they were found is not repeated; random rankings
        choose among the whole grid that the options name.
    - `across`: whether its neurons were taken out of all layers together; random ones are of the
        same layers then, as many in each.
    """
    search = PlanSearch(lm, name, task, options or NullOptions(), together, across=across)
    return run_search(search, output=output, quiet=quiet)


def run_search(
    search: TaskSearch,
    *,
    output: str | Path | None = None,
    draw: Draw = draw_here,
    quiet: bool = False,
) -> SearchedNull:
    """A search's claim and its nulls, portion by portion.

    **Arguments:**

    - `draw`: what random rankings are searched by; the claim's search is made here.
    """
    options, name, search.quiet = search.options, search.name, quiet
    files = NullFiles(output, search.settings())
    known = files.read()
    with PartsBar(options.draws + 1, name, quiet=quiet) as bar:
        items, claim = known.items, known.claim
        if items is None or claim is None:
            items, claim = search.test.record(), search.claim(bar.update)
            files.write_claim(items, claim)
        found = known.usable(options.draws, PORTION)
        for numbers in _portions(len(found), options.draws):
            bar.reach(1 + len(found))
            found += draw(search, numbers, bar.update)
            files.write_draws(found)
    return SearchedNull(name, items, claim, tuple(found))


def missing_portions(search: TaskSearch, output: str | Path) -> list[range]:
    """What `run_search` has to draw, as it goes on in a folder."""
    draws = search.options.draws
    known = NullFiles(output, search.settings()).read()
    return _portions(len(known.usable(draws, PORTION)), draws)


def _portions(done: int, draws: int) -> list[range]:
    return [range(first, min(first + PORTION, draws)) for first in range(done, draws, PORTION)]
