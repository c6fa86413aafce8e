"""Attacking with several processes: each has its own one-thread sessions; the order of examples changes nothing.

A leader, forked from a server that has imported what is needed once, opens the classifiers and forks the workers: they
start at once and share the classifiers' weights.  Words and encoders each worker loads itself: some are read from open
files, whose place two processes must not share.

A worker that dies takes no example with it: those in flight run again, each alone, and one that twice kills a worker of
its own gets an error record.

Why no library: with loky (3.7) one death fails all examples in hand, as with the standard library's
executor.  With pebble (5.2) it fails only the dying worker's own, which would save the dozen lines
of `Workers._together`; the leader, Ctrl-C, the end with the parent, the word on shared memory and the
second try alone would stay.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import joblib

from .. import disk, records
from ..errors import CannotRun, QRError, StorageError
from ..quantization import classifiers
from . import one_example, recipes
from .tasks import record

SHARED = Path("/dev/shm")
"""Where Linux keeps the semaphores by which processes take turns."""
STARTING = 10.0
"""Seconds that it takes to import what workers need."""
_searcher: one_example.Searcher | None = None


def begin(task) -> None:
    """Makes this process a worker for `task`."""
    global _searcher
    follow_parent()
    import torch

    torch.set_num_threads(1)
    _searcher = one_example.Searcher(task)


def follow_parent() -> None:
    """Leaves Ctrl-C to the parent process, and ends with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, daemon=True).start()


def end_with_parent() -> None:
    """Waits for the parent process to end, however it ends, then ends this one."""
    if parent := multiprocessing.parent_process():
        parent.join()
    os._exit(1)


def search_one(example) -> records.Record:
    """The record of one example, made in a worker."""
    assert _searcher, "a worker begins with `begin`"
    return _searcher(example)


def server():
    """The context whose processes are forked from the server; starts it, with Ctrl-C blocked, so that it is deaf to it while it imports."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["qrsupport.attacks.one_example"])
    resource_tracker.ensure_running()  # starting it ends every block
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context


def pool(task, processes: int) -> ProcessPoolExecutor:
    """Worker processes for `task`, forked from this one.

    Raises StorageError if the machine gives them no shared memory.
    """
    with _shared_memory():
        return ProcessPoolExecutor(processes, multiprocessing.get_context("fork"), initializer=begin, initargs=(task,))


@contextlib.contextmanager
def _shared_memory():
    """Makes an OSError within, of processes that cannot be had, a StorageError that says what to do."""
    try:
        yield
    except OSError as e:
        said = disk.refusal(e, SHARED) or f"{SHARED}: {e}"
        raise StorageError(f"{said}; worker processes need it, workers=1 does without") from e


def stop(executor: ProcessPoolExecutor) -> None:
    """Ends the workers at once, whatever they are doing."""
    processes = list((executor._processes or {}).values())
    for process in processes:
        process.terminate()
    executor.shutdown(wait=False, cancel_futures=True)


def first(task, rest: deque) -> Generator[records.Record, None, int]:
    """Takes examples from `rest` and attacks them in this process, as long as further ones would not save time.

    Returns how many processes are to do what is left: all cores if that ends sooner, by the pace so far, by more than
    this process took to get ready and `STARTING`, else one.
    """
    cores = joblib.cpu_count() if not task.recipe or recipes.importable(task.recipe) else 1
    start = time.monotonic()
    search = one_example.Searcher(task)
    ready, done = time.monotonic(), 0
    while rest:
        yield search(rest.popleft())
        done += 1
        left = (time.monotonic() - ready) / done * len(rest)
        if done > 1 and left * (1 - 1 / cores) > ready - start + STARTING:
            return cores
    return 1


class Crew:
    """`size` workers for a task and their leader, to be used in a `with`; `search` makes the record of an example in a worker."""

    def __init__(self, task, size: int, search=search_one):
        self.given = task, size, search
        self.leader: BaseProcess | None = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.leader:
            self.line.close()
            self.leader.terminate()

    def outcomes(self, todo: list) -> Iterator[records.Record]:
        """The records of the examples in `todo`, as they finish.

        Raises StorageError if the machine gives processes no shared memory or no sockets, DependentAnswers as a
        classifier does, CannotRun if the leader dies.
        """
        if not self.leader:
            self._start()
        try:
            self.line.send(list(todo))
            while (found := self.line.recv()) is not None:
                error = found if isinstance(found, QRError) else None
                if error:
                    raise error
                yield found
        except (EOFError, ConnectionError) as e:
            raise CannotRun(
                "the process that leads the workers ended, for want of memory if nothing above says why; "
                "what is done is kept: rerun with fewer workers"
            ) from e

    def _start(self) -> None:
        with _shared_memory():
            context = server()
            self.line, there = context.Pipe()
            leader = context.Process(target=lead, args=(*self.given, there))
            leader.start()
        there.close()
        self.leader = leader


def lead(task, size: int, search, line: Connection) -> None:
    """Makes this process the leader of `size` workers: it takes lists of examples from `line`, and sends their records as
    they finish and None behind the last, or the package's error that ends it."""
    follow_parent()
    try:
        if task.p.device == "cpu":  # a GPU cannot be used on both sides of a fork
            for folder in (task.model, *task.others, *task.spared, *filter(None, [task.ranking])):
                classifiers.load(folder)
        with Workers(task, size, search) as workers:
            while True:
                for found in workers.outcomes(line.recv()):
                    line.send(found)
                line.send(None)
    except (EOFError, ConnectionError):
        pass  # nobody listens any more
    except QRError as e:
        with contextlib.suppress(ConnectionError):
            line.send(e)


class Workers:
    """The workers that a leader forks, to be used in a `with`."""

    def __init__(self, task, size: int, search):
        self.task, self.size, self.search = task, size, search
        self.executor: ProcessPoolExecutor | None = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.executor:
            stop(self.executor)

    def outcomes(self, todo: list) -> Iterator[records.Record]:
        """The records of the examples in `todo`, as they finish; long texts begin first, so that none is left at the end."""
        waiting = deque(sorted(todo, key=lambda example: len(example.text), reverse=True))
        while waiting:
            for example in (yield from self._together(waiting)):
                yield self._alone(example)

    def _together(self, waiting: deque) -> Generator[records.Record, None, list]:
        """Empties `waiting`; if a worker dies, returns the examples that were in flight."""
        executor = self.executor = self.executor or pool(self.task, self.size)
        running = {}
        try:
            while waiting or running:
                while waiting and len(running) < 2 * self.size:
                    example = waiting.popleft()
                    running[executor.submit(self.search, example)] = example
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    record = future.result()
                    del running[future]
                    yield record
            return []
        except BrokenProcessPool:
            stop(executor)
            self.executor = None
            return sorted(running.values(), key=lambda e: e.position)

    def _alone(self, example) -> records.Record:
        """The record of an example in a worker of its own; an error record if that dies, and a second one too."""
        for _ in range(2):
            executor = pool(self.task, 1)
            try:
                return executor.submit(self.search, example).result()
            except BrokenProcessPool:
                continue
            finally:
                stop(executor)
        note = "WorkerDied: the process that attacked this example ended twice (out of memory?); rerun with workers=1"
        return record(self.task, example, status=records.Status.error, note=note)
