"""Running an attack on many examples, by one process or several: one record an example."""

from collections import deque
from collections.abc import Iterator
from pathlib import Path

from .. import records
from ..errors import AttackFailures
from .tasks import Example, Task


def outcomes(task: Task, todo: list[Example]) -> Iterator[records.Record]:
    """The records of the examples in `todo`, as they finish, by `task.p.workers` processes; 0: as many as `workers.first` finds.

    TextAttack, seconds to import, is imported only when there is something to do.
    """
    if not todo:
        return
    from . import one_example, workers

    rest = deque(todo)
    size = min(task.p.workers or (yield from workers.first(task, rest)), len(rest))
    if size > 1:
        with workers.Crew(task, size) as crew:
            yield from crew.outcomes(rest)
    elif rest:
        yield from map(one_example.Searcher(task), rest)


def refuse_errors(found: list[records.Record], n: int, folder: Path) -> None:
    """Raises AttackFailures if some of `found`, of `n` wanted, ended in an error, saying how many and which first."""
    failed = [r for r in found if r.status is records.Status.error]
    if failed:
        raise AttackFailures(
            f"{len(failed)} of {n} examples ended in an error (first: {failed[0].example}: {failed[0].note}); "
            f"their records are in {folder}; rerunning tries them again"
        )
