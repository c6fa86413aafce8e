"""Running an attack on many examples, by one process or several: one record an example."""

from collections.abc import Iterator
from pathlib import Path

from .. import records
from ..errors import AttackFailures
from .tasks import Example, Task

VERSIONS = ("qrsupport", "textattack", "onnxruntime", "tokenizers", "nltk", "numpy")


def outcomes(task: Task, todo: list[Example]) -> Iterator[records.Record]:
    """The records of the examples in `todo`, as they finish, by `task.p.workers` processes.

    TextAttack, seconds to import, is imported only when there is something to do.
    """
    if not todo:
        return
    from . import one_example, workers

    if task.p.workers > 1 and len(todo) > 1:
        with workers.Crew(task, min(task.p.workers, len(todo))) as crew:
            yield from crew.outcomes(todo)
    else:
        yield from map(one_example.Searcher(task), todo)


def refuse_errors(found: list[records.Record], n: int, folder: Path) -> None:
    """Raises AttackFailures if some of `found`, of `n` wanted, ended in an error, saying how many and which first."""
    failed = [r for r in found if r.status is records.Status.error]
    if failed:
        raise AttackFailures(
            f"{len(failed)} of {n} examples ended in an error (first: {failed[0].example}: {failed[0].note}); "
            f"their records are in {folder}; rerunning tries them again"
        )
