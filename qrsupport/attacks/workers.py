"""Attacking with several processes: each has its own one-thread sessions; the order of examples changes nothing.

Workers are forked from a server that has imported what they need once, so that a new one starts
at once and read-only tables are shared.  A worker that dies takes no example with it: those in
flight run again, each alone, and one that twice kills a worker of its own gets an error record.

Why no library: with loky (3.7) one death fails all examples in hand, as with the standard library's
executor.  With pebble (5.2) it fails only the dying worker's own, which would save the dozen lines
of `Crew._together`; the server, Ctrl-C, the end with the parent, the word on shared memory and the
second try alone would stay.
"""

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
from pathlib import Path

import joblib

from .. import disk, records
from ..errors import StorageError
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


def start_server() -> None:
    """Starts the server that workers are forked from with Ctrl-C blocked, so that it is deaf to it while it imports."""
    resource_tracker.ensure_running()  # starting it ends every block
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def pool(task, processes: int) -> ProcessPoolExecutor:
    """Worker processes for `task`.

    Raises StorageError if the machine gives them no shared memory or no sockets.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["qrsupport.attacks.one_example"])
    try:
        start_server()
        return ProcessPoolExecutor(processes, mp_context=context, initializer=begin, initargs=(task,))
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
    """`size` workers for a task, to be used in a `with`."""

    def __init__(self, task, size: int):
        self.task, self.size = task, size
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
                    running[executor.submit(search_one, example)] = example
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
                return executor.submit(search_one, example).result()
            except BrokenProcessPool:
                continue
            finally:
                stop(executor)
        note = "WorkerDied: the process that attacked this example ended twice (out of memory?); rerun with workers=1"
        return record(self.task, example, status=records.Status.error, note=note)
