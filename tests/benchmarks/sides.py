"""The sides that `make bench` compares: TextAttack as shipped and unpadded, the engine, and the floor.

Each side is called with a list of examples and gives their records (the floor: nothing).
"""

import dataclasses
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from qrsupport.attacks import one_example, wiring, workers
from qrsupport.attacks.tasks import Example, Task
from qrsupport.quantization import classifiers, export, victim


class Stock:
    """TextAttack as shipped: its own parts, its Hugging Face wrapper, torch, NLTK's tagger."""

    def __init__(self, task: Task, checkpoint: Path | None):
        self.searcher = one_example.Searcher(task, stock=True)
        words = dataclasses.replace(self.searcher.words, tagger=nltk_tagger(self.searcher.words.tagger))
        self.searcher.wrapper = self.wrapper(task, checkpoint)
        self.searcher.attack = wiring.build(task.p.attack, words, self.searcher.wrapper)

    @staticmethod
    def wrapper(task, checkpoint):
        from textattack.models.wrappers import HuggingFaceModelWrapper

        model, tokenizer = export._load(checkpoint)
        tokenizer.model_max_length = 512
        return HuggingFaceModelWrapper(model, tokenizer)

    def __call__(self, examples):
        return [self.searcher(e) for e in examples]

    def close(self):
        pass


class Unpadded(Stock):
    """TextAttack's own parts with an ONNX Runtime wrapper: one text at a time, unpadded, as many threads as cores."""

    @staticmethod
    def wrapper(task, checkpoint):
        model = victim.Victim(task.model, threads=2)
        model.together, model._piece = 1, None
        return wiring.Wrapper(model)


class Engine:
    """The engine with a number of workers, started and warmed up on other examples; `search` as a crew takes it."""

    def __init__(self, task: Task, size: int, warm_up, search=workers.search_one):
        start = time.perf_counter()
        self.crew = workers.Crew(task, size, search)
        list(self.crew.outcomes(warm_up))
        self.cold = time.perf_counter() - start

    def __call__(self, examples):
        return sorted(self.crew.outcomes(examples), key=lambda r: r.position)

    def close(self):
        self.crew.__exit__()


class Threaded:
    """The engine in this process, with two threads inside each operation in place of two processes."""

    def __init__(self, task: Task, warm_up):
        self.searcher = one_example.Searcher(task)
        self.searcher.wrapper.model = victim.Victim(task.model, threads=2)
        self(warm_up)

    def __call__(self, examples):
        return [self.searcher(e) for e in examples]

    def close(self):
        pass


class Floor:
    """Processes that do nothing but answer, in the fastest mode, the distinct texts that the search asks."""

    def __init__(self, task: Task, size: int, examples):
        self.asked = {e.position: texts_asked(task, e) for e in examples}
        self.executor = ProcessPoolExecutor(size, workers.server(), initializer=floor_begin, initargs=(task.model,))
        list(self.executor.map(floor_answer, [["warm up"]] * size * 2))

    def __call__(self, examples):
        list(self.executor.map(floor_answer, [self.asked[e.position] for e in examples]))

    def close(self):
        workers.stop(self.executor)


_victim = None
_searchers = {}


def floor_begin(path: Path) -> None:
    """Makes this process one that only answers."""
    global _victim
    workers.follow_parent()
    _victim = classifiers.load(path)


def floor_answer(texts: list[str]) -> int:
    """Answers the texts, together where the answers stay the same."""
    return len(_victim(texts))


def texts_asked(task: Task, example: Example) -> list[str]:
    """The distinct texts that the engine asks for one example."""
    if task not in _searchers:
        _searchers[task] = one_example.Searcher(task)
    searcher, seen = _searchers[task], {}
    ask = searcher.wrapper.model
    searcher.wrapper.model = lambda texts: seen.update(dict.fromkeys(texts)) or ask(texts)
    searcher(example)
    searcher.wrapper.model = ask
    return list(seen)


def nltk_tagger(tagger):
    """NLTK's own `pos_tag` in place of the package's perceptron; any other tagger as it is."""
    from qrsupport.lexicons.perceptron import Perceptron

    if not isinstance(tagger, Perceptron):
        return tagger
    import nltk

    return lambda words: [tag for _, tag in nltk.pos_tag(words, tagset="universal")] if words else []
