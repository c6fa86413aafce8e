"""What is made from what, where it lies, and what is stale: the place to read first.

    dataset → checkpoint → variant → attack → replay
                                  ↘ clean

Each function makes what it is named for, and before that what it needs, unless it lies in the run directory and was made
from the same things by the same code.  The stages, in the rooms from `data` to `attacks`, receive all that they work on;
only this module reads parameters, names folders, compares digests and stores.  `read` makes nothing.
"""

import dataclasses
from functools import partial
from importlib.metadata import version
from pathlib import Path

from . import catalog, config, provenance, recorded, records, store
from .attacks import replaying, running, tasks
from .data import datasets
from .errors import BadParameter, NoRecords, UnknownName
from .quantization import classifiers, own_onnx, variants
from .training import backbones, fine_tuning, given

# Data, checkpoints, variants ------------------------------------------------------------------------------------------


def dataset(p: config.Parameters) -> datasets.Dataset:
    """The texts and labels of `p.dataset`, in three splits.

    Parameters:
        p: of which `dataset`, `train_limit`, `network` and, for data of your own, columns, labels and splits count.
    Returns: A `Dataset`: `labels` (class names in class order) and the splits `train`, `validation` and `test`, each with
        `texts`, `labels` (class numbers) and `ids`, equally long; `eval_split()` is the one that is measured on.
    Raises:
        MissingResource, NoNetwork: if the files are not there; the page *Data* says where they come from.
        BadData: naming file and line, if one cannot be read.
    Example:
        >>> splits = qr.dataset(p)
        >>> splits.labels, len(splits.train.texts), splits.eval_split().ids[0]
        (('negative', 'positive'), 1200, 'embedded/test/00000')
    """
    return datasets.load(p)


def check(p: config.Parameters, name: str) -> None:
    """Raises before any work if variant `name` cannot be made: UnknownName, CannotRun (naming the nearest that can), and as
    `backbones.check`."""
    if name not in catalog.VARIANTS:
        raise UnknownName("variant", name, catalog.VARIANTS)
    fine_tuning.check_device(p.device)
    backbones.check(p)
    fine_tuning.refuse_training(p, catalog.VARIANTS[name].checkpoint)
    variants.check(name)


def checkpoint(p: config.Parameters, which: str = "base") -> Path:
    """A classifier fine-tuned from `p.backbone` on `p.dataset`: the folder in which it lies.

    Parameters:
        p: of which the model's parameters count: `dataset`, `backbone`, `seed`, `epochs` and so on.
        which: "base"; "adversarial" (from the backbone, on the training split and successful perturbations of training
            examples); "anew-1" to "anew-3" ("base", one before it, for an epoch more on the training split and such
            perturbations made for it); "longer-1" to "longer-3" (controls: as those, with the same texts unperturbed);
            "other-seed" ("base" with the next seed); "qat8" or "qat4" (from the backbone, rounding to 8 or 4
            bits while it learns).
    Returns: A `Path` with model.safetensors, config.json, the tokenizer, history.json (the learning curve) and card.md.
        With `p.epochs` 0 "base" is the backbone as it is, an ONNX file as model.onnx. `store.meta` of it gives `seconds`,
        `parameters` (a count) and of an adversarial one what its attack took: `attack_queries`, `examples_succeeded` ...
    Raises:
        UnknownName, NoNetwork, BadCheckpoint: for a backbone that cannot be used.
        CannotRun: for what cannot be had without training, before any work.
        StorageError: if the folder cannot be written; as `dataset`.
    Example:
        >>> (qr.checkpoint(p) / "model.safetensors").is_file()
        True
    """
    fine_tuning.refuse_training(p, which)
    if which == "other-seed":
        return checkpoint(dataclasses.replace(p, seed=p.seed + 1))
    backbones.check(p)
    splits, made = _learned(p, which)
    start = checkpoint(p, catalog.STARTED_FROM[which]) if which in catalog.STARTED_FROM else None
    extra = fine_tuning.examples(made)
    depends = {
        "parameters": fine_tuning.identity(p, which),
        "data": splits.fingerprint,
        "backbone": backbones.digest(p),
        "extra": config.key(extra),
        "code": provenance.code("training"),
        "versions": {v: version(v) for v in fine_tuning.VERSIONS},
    } | ({"start": store.sha256(given.weights(start))} if start else {})
    tune = partial(fine_tuning.build, which=which, attacked=made, start=start)
    build = own_onnx.take if given.is_onnx(p.backbone) else tune
    return store.made(checkpoint_folder(p, which, splits.name), depends, lambda room: build(p, splits, room))


def _learned(p: config.Parameters, which: str) -> tuple[datasets.Dataset, list[records.Record]]:
    """The data that the checkpoint `which` learns from, and the attack whose successes it learns from beside them."""
    splits = dataset(p)
    made = training_attack(p, catalog.LONGER.get(which, which)) if which in catalog.LEARNED_FROM else []
    if which in catalog.LONGER:
        return splits.repeating(r.example for r in made if r.status is records.Status.succeeded), []
    return splits, made


def checkpoint_folder(p: config.Parameters, which: str, name: str) -> Path:
    """Where a checkpoint lies; `name` of the data set."""
    parts = (name, backbones.slug(p.backbone), f"s{p.seed}", *([which] if which != "base" else []))
    return config.run_dir(p) / "checkpoints" / "-".join((*parts, config.key(fine_tuning.identity(p, which))))


def variant(p: config.Parameters, name: str) -> Path:
    """One executable classifier made from a checkpoint, such as the paper's 8 bits: the folder in which it lies.

    Parameters:
        p: of which the model's parameters count, and those that the variant names in the catalogue, such as `per_channel`.
        name: one of those that `qrsupport list` prints: "fp32", "int8-dynamic", "w4a4", "noise-1", "ensemble-mean" and so on.
    Returns: A `Path` with model.onnx, tokenizer.json and variant.json; of an ensemble, who its members are.
    Raises:
        UnknownName: for a name that is no variant.
        CannotRun: if this machine or this backbone cannot have it, naming the nearest that can; before any work.
        BadCheckpoint: for a checkpoint that cannot be exported, or whose ONNX form answers differently; as `checkpoint`.
    Example:
        >>> (qr.variant(p, "int8-dynamic") / "model.onnx").is_file()
        True
    """
    check(p, name)
    entry = catalog.VARIANTS[name]
    made_of = {other: variant(p, other) for other in variants.made_of(name)}
    about = {"parameters": config.identity(p, name), "code": provenance.code("variants")}
    if entry.members:
        source = variants.Source(None, dataset(p), made_of)
        depends = about | {"members": {other: classifiers.digest(folder) for other, folder in made_of.items()}}
    else:
        source = variants.Source(checkpoint(p, entry.checkpoint), dataset(p), made_of)
        depends = about | variants.made_from(source)
    return store.made(variant_folder(p, name), depends, lambda room: variants.make(p, name, source, room))


def variant_folder(p: config.Parameters, name: str) -> Path:
    """Where a variant lies."""
    parts = (config.dataset_name(p.dataset), backbones.slug(p.backbone), f"s{p.seed}", name)
    return config.run_dir(p) / "variants" / "-".join((*parts, config.key(config.identity(p, name))))


def classifier(p: config.Parameters, name: str):
    """Variant `name`, ready to be asked.

    Parameters: as of `variant`.
    Returns: A `Victim` or an `Ensemble`: called with a list of texts it gives logits, a float32 array of the shape (texts,
        classes). A text's answer does not depend on the texts beside it. `labels`, `max_length` (tokens) and `bytes` are
        attributes.
    Raises: what `variant` raises.
    Example:
        >>> ask = qr.classifier(p, "int8-dynamic")
        >>> ask(["a lovely film", "a dull and tedious film"]).shape, ask.labels
        ((2, 2), ('negative', 'positive'))
        >>> ask.bytes < qr.classifier(p, "fp32").bytes
        True
    """
    return classifiers.load(variant(p, name), device=p.device)


# Attacks --------------------------------------------------------------------------------------------------------------


def attack(
    p: config.Parameters, variant: str | None = None, progress: bool = True, recipe: type | None = None
) -> list[records.Record]:
    """Attacks a variant: `p.attack` on `p.n` examples of the evaluation split, a seeded sample.

    What is recorded already is not attacked again, so that a run that was stopped goes on and a second call only reads.

    Parameters:
        p: of which the model's parameters count, and `attack`, `resources`, `attack_seed`, `n`, `query_budget`, `margin`,
            `joint`, `spare`, `ranking`, `restart`; `workers` changes the time only.
        variant: the one attacked; None: `p.variant`.
        progress: whether a bar is shown.
        recipe: any class of TextAttack's AttackRecipe kind, in place of the attack that `p.attack` names.
    Returns: A list of `Record`, one an example in the order of the sample: `example` (its id), `status` ("succeeded", "failed",
        or "skipped" where the variant was wrong unattacked), `label`, `before` and `after` (class numbers), the `text`, the
        `perturbed` one, `words_changed` of `words`, `similarity` (0 to 1), `queries` and more, as `records.Record` says.
    Raises:
        UnknownName, CannotRun, MissingResource, NoNetwork, BadParameter: if the attack cannot run; before any work.
        AttackFailures: after the run, if examples ended in an error; the others are recorded.
    Example:
        >>> found = qr.attack(p, "fp32", progress=False)
        >>> len(found), found[0].example in splits.eval_split().ids
        (10, True)
    """
    return _attacked(p, variant or p.variant, dataset(p).eval_split(), "attacks", progress, recipe)


def training_attack(p: config.Parameters, which: str = "adversarial", progress: bool = True) -> list[records.Record]:
    """The records of the attack that makes adversarial training examples for the checkpoint `which`:
    `p.adversarial_attack` over `p.adversarial_examples` seeded training examples, on the variant that it learns from: each
    of `anew-1` to `anew-3` from another one, and from other examples."""
    aims: dict = {"query_budget": 0, "margin": 0.0, "joint": "", "spare": "", "ranking": "", "restart": 0}
    seed = p.seed + (catalog.ANEW.index(which) if which in catalog.ANEW else 0)
    q = dataclasses.replace(p, attack=p.adversarial_attack, n=p.adversarial_examples, attack_seed=seed, **aims)
    return _attacked(q, catalog.LEARNED_FROM[which], dataset(q).train, "training-attacks", progress, None)


def attack_folder(
    p: config.Parameters, variant: str | None = None, recipe: type | None = None, stage: str = "attacks"
) -> recorded.Folder:
    """Where the records of an attack lie, or would."""
    p, recipe = tasks.settled(tasks.aimed(p, variant or p.variant), recipe)
    made_by = config.key(tasks.identity(p, variant or p.variant, recipe))
    return recorded.Folder(config.run_dir(p) / stage / tasks.name(p, variant or p.variant, p.attack, made_by))


def read(p: config.Parameters, variant: str | None = None, recipe: type | None = None) -> list[records.Record]:
    """The records of an attack that lie in the run directory, the first `p.n`; nothing is made.

    Parameters: as of `attack`.
    Returns: A list of `Record`, as `attack` gives it.
    Raises:
        NoRecords: if there are none; `attack` makes them.
        StaleArtefact: if they are damaged.
    Example:
        >>> qr.read(p, "fp32") == found
        True
    """
    folder = attack_folder(p, variant, recipe)
    found = folder.load()[: p.n]
    if not found:
        raise NoRecords(f"no records in {folder.path}; `pipeline.attack` or the attack chapter makes them")
    return found


def attack_shard(p: config.Parameters, part: int, of: int, progress: bool = True) -> list[records.Record]:
    """Attacks every `of`-th of the examples that `attack` would attack, from the `part`-th (1 to `of`) on, in a folder of its own.

    `attack` takes over what shards of the same have made, wherever they ran, and attacks the rest: its records are those of
    one run but for their timing.  Returns the part's records but those that were there before.  Raises as `attack`, and
    BadParameter for a part that is none.
    """
    if not 1 <= part <= of:
        raise BadParameter(f"part={part} must lie in [1, {of}], of={of} parts")
    return _attacked(p, p.variant, dataset(p).eval_split(), "attacks", progress, None, (part, of))


def _attacked(
    p: config.Parameters, name: str, split: datasets.Split, stage: str, progress: bool, recipe: type | None, shard=(1, 1)
) -> list[records.Record]:
    """The records of an attack on any split, in a folder of `stage`, or of one shard of it; raises as `attack`."""
    if name not in catalog.VARIANTS:
        raise UnknownName("variant", name, catalog.VARIANTS)
    whole, (part, of) = attack_folder(p, name, recipe, stage), shard
    p, recipe = tasks.settled(tasks.aimed(p, name), recipe)
    tasks.supply(p, recipe)
    job = task(p, name, recipe)
    folder, depends = whole.shard(part, of), tasks.made_from(job, split)
    wanted = tasks.examples(split, p.n, p.attack_seed)[part - 1 :: of]
    with store.lock(folder.held_by):
        folder.open(depends)
        done = folder.done() | (whole.done() if whole.depends() == folder.depends() else set())
        done |= folder.take_over(done)
        todo = [example for example in wanted if example.position not in done]
        folder.fill(running.outcomes(job, todo), len(wanted), len(todo), f"{p.attack} on {name}", progress)
        folder.drop_shards()
    found = folder.load()
    running.refuse_errors(found, len(wanted), folder.path)
    return [r for r in found if r.position < p.n]


def task(p: config.Parameters, name: str, recipe: type | None = None) -> tasks.Task:
    """What a worker that attacks variant `name` is given; `p` as `tasks.aimed` and `tasks.settled` leave it."""
    others = {other: variant(p, other) for other in config.others(p)}
    joint, spared = (tuple(others[other] for other in config.split(names)) for names in (p.joint, p.spare))
    made_by = config.key(tasks.identity(p, name, recipe))
    kept = config.run_dir(p) / "answers" / config.key(fine_tuning.hardware())
    return tasks.Task(p, name, variant(p, name), made_by, recipe, joint, spared, others.get(p.ranking), kept)


# Answers without a search ---------------------------------------------------------------------------------------------


def clean(p: config.Parameters, name: str) -> dict:
    """What variant `name` says of the whole evaluation split, unattacked.

    Parameters: as of `variant`.
    Returns: A dict: `dataset`, `backbone`, `seed`, `variant`, `split` (the split's name), `class_names`; `ids`, `labels`,
        `predicted` (class numbers) and `probabilities` (in class order), one an example; `bytes` of the executable model;
        `execution` ("kernel", "simulated" or "emulated").
    Raises: what `variant` raises; StaleArtefact if the stored file was altered.
    Example:
        >>> answers = qr.clean(p, "fp32")
        >>> right = [a == b for a, b in zip(answers["predicted"], answers["labels"])]
        >>> len(right) == len(splits.test.texts), sum(right) / len(right) > 0.6
        (True, True)
    """
    splits, folder = dataset(p), variant(p, name)
    depends = {
        "parameters": config.asked(p, name),
        "data": splits.fingerprint,
        "model": classifiers.digest(folder),
        "code": provenance.code("replay"),
    }

    def build(room: Path) -> None:
        about = {"dataset": splits.name, "backbone": p.backbone, "seed": p.seed, "variant": name}
        found = replaying.predictions(classifiers.load(folder, device=p.device), splits, name)
        store.write_json(room / recorded.PREDICTIONS, about | found)

    return recorded.read_clean(store.made(clean_folder(p, name), depends, build))


def clean_folder(p: config.Parameters, name: str) -> Path:
    """Where the clean predictions of a variant lie."""
    return config.run_dir(p) / "clean" / tasks.name(p, name, config.key(config.asked(p, name)))


def replay(p: config.Parameters, source: str = "fp32", target: str = "int8-dynamic") -> list[records.Replay]:
    """What `target` says of the adversarial set of `source`: the text that fooled the source, else the original.

    The attack on the source is run first where its records are missing; it is never run again.

    Parameters:
        p: as of `attack`.
        source: the variant that is attacked.
        target: the variant that is asked.
    Returns: A list of `Replay`, one an example. Of each: `example`, `status` (the source's), `label`, `clean` and `replayed`
        (the target's class numbers for the original and for the member of the adversarial set), `probabilities_clean`
        and `probabilities_replayed`.
    Raises: what `attack` raises.
    Example:
        >>> own, other = (qr.replay(p, "fp32", target) for target in ("fp32", "int8-dynamic"))
        >>> len(other), [r.replayed for r in own] == [r.after if r.status == "succeeded" else r.before for r in found]
        (10, True)
    """
    attack(p, source)
    attacked = attack_folder(p, source)
    folder, depends = replay_folder(p, source, target), _replayed_from(p, source, target, attacked)
    made_by = config.key(depends["parameters"])
    with store.lock(folder.path):
        folder.open(depends)
        done = {r.position for r in folder.load()}
        todo = [r for r in attacked.load() if r.position not in done and r.status is not records.Status.error]
        answers = replaying.answers(todo, classifiers.load(variant(p, target), device=p.device), target, made_by) if todo else ()
        folder.fill(answers, len(todo), len(todo))
    return [r for r in folder.load() if r.position < p.n]


def matrix(p: config.Parameters, sources, targets) -> list[records.Replay]:
    """The replays of every source's adversarial set on every target.

    Parameters:
        p: as of `attack`.
        sources, targets: names of variants.
    Returns: A list of `Replay`, as `replay` gives it: source by source, in it target by target.
    Raises: what `attack` raises.
    Example:
        >>> [r.target for r in qr.matrix(p, ["fp32"], ["fp32", "int8-dynamic"])][::10]
        ['fp32', 'int8-dynamic']
    """
    return [r for source in sources for target in targets for r in replay(p, source, target)]


def replay_folder(p: config.Parameters, source: str, target: str) -> recorded.Folder:
    """Where replays lie."""
    q, recipe = tasks.settled(tasks.aimed(p, source))
    made_by = config.key(_sides(q, source, target, recipe))
    name = tasks.name(q, source, "to", target, q.attack, made_by)
    return recorded.Folder(config.run_dir(p) / "replays" / name, records.Replay)


def _sides(p: config.Parameters, source: str, target: str, recipe: type | None) -> dict:
    return {"source": tasks.identity(p, source, recipe), "target": config.asked(p, target)}


def _replayed_from(p: config.Parameters, source: str, target: str, attacked: recorded.Folder) -> dict:
    """What replays are made from."""
    q, recipe = tasks.settled(tasks.aimed(p, source))
    return {
        "parameters": _sides(q, source, target, recipe),
        "model": classifiers.digest(variant(p, target)),
        "attack": config.key(attacked.depends()),
        "code": provenance.code("replay"),
    }
