"""One text attacked with every query on the record: what the search asked, in order, and what it did with each answer.

TextAttack's own search runs, watched at the places where it asks for candidates and for answers; nothing of it is
written again here.  `report.trace` reads the file.
"""

import dataclasses

from safetensors import safe_open

from .. import catalog, config, pipeline
from ..attacks import one_example, tasks
from ..errors import BadParameter
from ..report import trace as page
from . import measure

ATTACKS = ("textfooler", "pwws", "pso")
DURING = {"_get_index_order": "rank", "_initialize_population": "population", "_perturb": "mutation"}
"""A method of a search method → the stage of what is asked while it runs."""
ROW = 24
"""Weights that a page shows of the row of the classification layer which scores the example's class."""
KEPT = ("status", "before", "after", "probabilities_before", "probabilities_after", "perturbed", "words", "words_changed",
        "queries", "evaluations")  # fmt: skip


class Tracer:
    """What one attack asks, while it runs.

    `texts`: {text: probabilities}, in the order in which they were first asked.  `steps`: dicts with `stage`, `at` (the
    text the search has reached), `asked` (texts, repeated ones too), `words` (the place each of them changes, or None),
    `refused` ({word, to, by}: candidates that a constraint dropped); in some stages `kept`, `order` or `members`.
    """

    def __init__(self, attack):
        self.texts: dict[str, list[float]] = {}
        self.steps: list[dict] = []
        self.stage, self.open, self.ranked = "start", False, []
        search, goal = attack.search_method, attack.goal_function
        goal.get_results = search.get_goal_results = self._asking(goal.get_results)
        search.get_transformations = self._trying(search.get_transformations)
        search.get_indices_to_order = self._listing(search.get_indices_to_order)
        for constraint in attack.constraints:
            constraint.call_many = self._refusing(constraint)
        for name, stage in DURING.items():
            if hasattr(search, name):
                setattr(search, name, self._during(getattr(search, name), stage))

    def _begin(self, stage: str, at: str | None) -> dict:
        self.steps.append({"stage": stage, "at": at, "asked": [], "words": [], "refused": []})
        return self.steps[-1]

    def _asking(self, ask):
        def get_results(texts, **settings):
            found = ask(texts, **settings)
            step = self.steps[-1] if self.open else self._begin(self.stage, self.steps[0]["at"] if self.steps else texts[0].text)
            ranking = self.stage == "rank" and not self.open
            for place, result in enumerate(found[0]):
                text = result.attacked_text
                self.texts.setdefault(text.text, [float(x) for x in result.raw_output])
                step["asked"].append(text.text)
                step["words"].append(self.ranked[place] if ranking else _changed(text))
            self.stage = "move" if self.stage == "start" else self.stage
            return found

        return get_results

    def _trying(self, transform):
        def get_transformations(text, *args, **settings):
            stage = {"rank": "gain", "move": "swap"}.get(self.stage, self.stage)
            self._begin(stage, text.text)
            self.open = True
            return transform(text, *args, **settings)

        return get_transformations

    def _listing(self, order):
        def get_indices_to_order(text, **settings):
            found = order(text, **settings)
            self.ranked = [int(i) for i in found[1]]
            return found

        return get_indices_to_order

    def _refusing(self, constraint):
        check, name = constraint.call_many, upstream(constraint)

        def call_many(texts, reference):
            kept = check(texts, reference)
            if self.open:
                passed = {id(text) for text in kept}
                gone = [text for text in texts if id(text) not in passed]
                self.steps[-1]["refused"] += [
                    {"word": (i := _changed(text)), "to": text.words[i] if i is not None else "", "by": name} for text in gone
                ]
            return kept

        return call_many

    def _during(self, method, stage: str):
        def watched(*args, **settings):
            before, self.stage, self.open = self.stage, stage, False
            found = method(*args, **settings)
            if stage == "rank":
                ranked = [step for step in self.steps if step["stage"] == "rank"]
                ranked[0]["order"] = [int(i) for i in found[0]]
            elif stage == "population":
                self.steps[-1]["members"] = [member.attacked_text.text for member in found]
            elif found:
                self.steps[-1]["kept"] = args[0].attacked_text.text
            self.stage, self.open = before, False
            return found

        return watched

    def end(self, text: str) -> None:
        """Says of each swap which candidate was kept: the next step begins at it, or the attack ends with it."""
        swaps = [step for step in self.steps if step["stage"] == "swap"]
        ends = [step["at"] for step in swaps[1:]] + [text]
        for step, after in zip(swaps, ends, strict=False):
            step["kept"] = after if after in step["asked"] else None


def _changed(text) -> int | None:
    """The place of the word that a candidate changes; None for an unattacked text or one moved as a whole."""
    return min((int(i) for i in text.attack_attrs.get("newly_modified_indices", ())), default=None)


def upstream(part) -> str:
    """The name of TextAttack's class that `part` is, or stands in for."""
    return next(cls.__name__ for cls in type(part).__mro__ if cls.__module__.startswith("textattack."))


def traced(task: tasks.Task, example: tasks.Example) -> dict:
    """One attack on one example: `texts`, `steps`, the parts of the recipe, `held`, and the `record` of the same attack by
    the engine.

    Raises StaleArtefact if the two differ in the end, in queries or in distinct texts.
    """
    searcher = one_example.Searcher(task, stock=True)
    attack, text = searcher.attack, searcher.text(example.text)
    held = [
        {"word": int(i), "by": upstream(c)}
        for c in attack.pre_transformation_constraints
        for i in sorted(set(range(text.num_words)) - c(text, attack.transformation))
    ]
    tracer = Tracer(attack)
    outcome = searcher.outcome(example)
    tracer.end(outcome["perturbed"])
    engine = one_example.Searcher(task).outcome(example)
    found = {
        "record": {name: engine[name] for name in KEPT}, "held": held, "words": list(text.words),
        "search": upstream(attack.search_method), "transformation": upstream(attack.transformation),
        "constraints": [upstream(c) for c in attack.constraints],
        "before": [upstream(c) for c in attack.pre_transformation_constraints],
    }  # fmt: skip
    found |= numbered(tracer)
    page.check(found)
    return found


def numbered(tracer: Tracer) -> dict:
    """`texts` as a list, and `steps` that name texts by their place in it."""
    place = {text: i for i, text in enumerate(tracer.texts)}

    def one(step: dict) -> dict:
        named = {"at": place[step["at"]], "asked": [place[text] for text in step["asked"]]}
        if "members" in step:
            named["members"] = [place[text] for text in step["members"]]
        if step.get("kept") is not None:
            named["kept"] = place[step["kept"]]
        return step | named

    texts = [{"text": text, "probabilities": row} for text, row in tracer.texts.items()]
    return {"texts": texts, "steps": [one(step) for step in tracer.steps]}


def trace(p: config.Parameters, example: str, attacks=ATTACKS) -> dict:
    """Each of `attacks` on the example of that id, by variant `p.variant`: the content of the file that `report.trace`
    reads.  It holds the text.

    Raises BadParameter for an id that the evaluation split does not have and for words ranked by another variant, whose
    answers would stand beside this one's; and as `pipeline.attack` and `traced` do.
    """
    if p.ranking:
        raise BadParameter(f"ranking={p.ranking!r}: a trace is of one classifier's answers; leave ranking empty")
    data = pipeline.dataset(p)
    split = data.eval_split()
    if example not in split.ids:
        raise BadParameter(f"{example!r} is no example of {p.dataset}'s evaluation split; one is {split.ids[0]!r}")
    at = split.ids.index(example)
    found = {}
    for attack in attacks:
        q, recipe = tasks.settled(tasks.aimed(dataclasses.replace(p, attack=attack), p.variant))
        tasks.supply(q, recipe)
        one = tasks.Example(at, example, split.texts[at], split.labels[at])
        found[q.attack] = traced(pipeline.task(q, p.variant, recipe), one)
    given = {name: value for name, value in dataclasses.asdict(p).items() if name not in (*config.PLACE, "attack", "n")}
    given["dataset"] = config.dataset_name(p.dataset)
    about = {"example": example, "text": split.texts[at], "label": split.labels[at], "labels": list(data.labels)}
    return measure.made_on() | about | {"parameters": given, "attacks": found, "row": row(p, split.labels[at], len(data.labels))}


def row(p: config.Parameters, label: int, classes: int) -> dict:
    """The first `ROW` weights by which the checkpoint's last layer scores class `label`: `tensor`, `of` (so many in all),
    `weights`; empty for a checkpoint without such a layer."""
    file = pipeline.checkpoint(p, catalog.VARIANTS[p.variant].checkpoint) / "model.safetensors"
    if not file.is_file():
        return {}
    with safe_open(file, "numpy") as tensors:
        shapes = {name: tensors.get_slice(name).get_shape() for name in tensors.keys()}  # noqa: SIM118  (no mapping)
        named = [name for name, shape in shapes.items() if len(shape) == 2 and shape[0] == classes]
        if not named:
            return {}
        weights = tensors.get_tensor(named[-1])[label]
    return {"tensor": named[-1], "of": len(weights), "weights": [float(w) for w in weights[:ROW]]}
