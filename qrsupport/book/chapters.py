"""Chapters as jobs: the plan of a profile, and running one chapter with checked parameters.

A chapter is a notebook under nbs/ with one cell tagged `parameters`.  A job is a chapter with a
parameter set; its output is the executed copy, written whole or not at all, and that file is the
workflow's resume state.  Of the attacks on one model the first is run as a chapter; the others make
the same records without a page, and leave a line about them instead.
"""

import dataclasses
import io
import itertools
import json
import logging
import re
import shlex
import sys
import tempfile
import time
from pathlib import Path

from .. import attack_catalog, catalog, config, profiles, project, provenance, store
from ..data import datasets
from ..errors import ChapterFailed, NoRecords, QRError, UnknownName
from ..training import backbones, fine_tuning
from . import foot

PLACED = ("finetune", "quantize", "adversarial", "attack", "controls", "aware", "architectures")
"""Chapters with a place of their own in the plan; of every other one there is a job for each model, after `quantize`."""
MODEL = ("dataset", "backbone", "seed")
"""What the grid of a profile crosses to name models."""
STARTED = 300
"""Seconds within which a kernel must have started; a busy machine may need more than the usual 60."""
ATTACKED = "attacked"
"""The folder of a run directory in which jobs without a page, and shards, say that their records are made."""


@dataclasses.dataclass(frozen=True)
class Job:
    """A chapter with its parameters (those that differ from the defaults).

    `after` names the jobs that must run first, `reads` those whose records it reads, so that it
    runs again when they have.  `shards`: in how many jobs of their own its attack's examples are attacked before.  Without
    `page` it is `attack` that runs, which makes the chapter's records and no executed copy.
    """

    chapter: str
    name: str
    parameters: dict = dataclasses.field(default_factory=dict)
    after: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    shards: int = 1
    page: bool = True

    @property
    def arguments(self) -> str:
        """The parameters as `qrsupport run` takes them, quoted for a shell."""
        return " ".join(f"-p {name} {shlex.quote(str(value))}" for name, value in sorted(self.parameters.items()))


def parse(chapter: str, pairs) -> dict:
    """Checked parameters of a chapter from (name, text) pairs, as given on a command line.

    Raises UnknownName or BadParameter, naming the value.
    """
    own = project.parameters(chapter)
    for name, _ in pairs:
        if name not in own:
            raise UnknownName(f"parameter of the chapter {chapter!r}", name, own)
    return {name: config.parse(name, text) for name, text in pairs}


def check(chapter: str, given: dict) -> None:
    """Refuses what cannot be had before a kernel starts: a backbone, the data, the words of an attack.

    Raises as `backbones.check`, `datasets.load` and `resources.check`, and NoRecords where there is nothing to compare.
    """
    from ..lexicons import resources

    own, p = project.parameters(chapter), config.make(**given)
    if "dataset" not in own:
        _need_records(config.run_dir(p))
    fine_tuning.check_device(p.device)
    named = config.split(p.backbones) if "backbones" in own else [p.backbone] if "backbone" in own else []
    for backbone in named:
        backbones.check(dataclasses.replace(p, backbone=backbone))
    if "dataset" in own and not datasets.fetched(p):
        datasets.load(p)
    for name in ("attack", *(["adversarial_attack"] if chapter == "adversarial" else [])):
        if name in own and getattr(p, name) in attack_catalog.ATTACKS:  # the reader's own is looked at when it is imported
            resources.check(p.resources, p.network, getattr(p, name))


def _need_records(run_dir: Path) -> None:
    """Raises NoRecords if a run directory holds none, with the command that reads those of each one beside it."""
    others = sorted({file.parents[2] for file in run_dir.parent.glob("*/attacks/*/meta.json")})
    if run_dir not in others:
        hint = f"others hold some: {'; '.join(map(reader, others))}" if others else "run the attack chapter or `make book`"
        raise NoRecords(f"no records under {run_dir}; {hint}")


def reader(run_dir: Path) -> str:
    """The command that shows the records of a run directory."""
    return f"qrsupport run compare -p run_dir {shlex.quote(str(run_dir))}"


def plan(profile: str, given: dict | None = None) -> list[Job]:
    """The jobs of a profile, in an order in which they can run.

    `given` overrides the profile's parameters; one that is a name of the grid narrows the grid to
    it.  Raises as `profiles.read`, UnknownName for an unknown parameter, BadParameter for a bad value.
    """
    entry, given = profiles.read(profile), dict(given or {})
    for name, content in given.items():
        config.check(name, content)
    grid = {name: (given[name],) if name in given else choices for name, choices in entry.grid.items()}
    jobs, crossed = [], [name for name in MODEL if name in grid]
    for values in itertools.product(*(grid[name] for name in crossed)):
        jobs += _models(entry, given, dict(zip(crossed, values, strict=True)), grid)
    first = {name: grid[name][0] for name in ("dataset", "attack")}
    jobs.insert(1, _job("architectures", entry, given, first))  # long: begins at once, with what no other chapter makes
    jobs = [job for job in jobs if job.chapter in entry.chapters]
    records = tuple(j.name for j in jobs)
    jobs = [dataclasses.replace(job, after=tuple(name for name in job.after if name in records)) for job in jobs]
    return jobs + [_job(name, entry, given, {}, reads=records) for name in _readers() if name in entry.chapters]


def _readers() -> list[str]:
    """The chapters that read what the others recorded: those without a data set."""
    return [name for name in project.chapters() if "dataset" not in project.parameters(name)]


def _models(entry: profiles.Profile, given: dict, model: dict, grid: dict) -> list[Job]:
    """The jobs of one model (dataset, backbone, seed): fine-tune, then quantize and adversarial training, then the attacks."""
    attacks = grid["attack"]
    tune = _job("finetune", entry, given, model)
    quantize = _job("quantize", entry, given, model, (tune,))
    train = _job("adversarial", entry, given, model | {"attack": attacks[0]}, (tune,))
    variants = grid.get("variant", catalog.PAPER_VARIANTS)
    others = [variant for variant in variants if variant != "fp32"]
    jobs = [tune, quantize, train]
    for attack, variant in itertools.product(attacks, variants):
        targets = ("fp32", *others) if variant == "fp32" else ("fp32", variant)
        values = model | {"attack": attack, "variant": variant, "targets": ",".join(targets)}
        job = _job("attack", entry, given, values, (quantize, train) if "adversarial" in ",".join(targets) else (quantize,))
        first = (attack, variant) == (attacks[0], variants[0])
        jobs.append(dataclasses.replace(job, shards=entry.shards.get(attack, 1), page=first))
    controls = _job("controls", entry, given, model | {"attack": attacks[0]}, (quantize,))
    aware = _job("aware", entry, given, model | {"attack": attacks[0]}, (controls,))  # which made the other seed
    rest = [name for name in project.chapters() if name not in (*PLACED, *_readers())]
    jobs += [controls, aware, *(_job(name, entry, given, model | {"attack": attacks[0]}, (quantize,)) for name in rest)]
    return jobs


def _job(chapter: str, entry: profiles.Profile, given: dict, values: dict, after=(), reads=()) -> Job:
    """A job whose parameters are the profile's, then those for its chapter and names, then `given`, then its `values`."""
    found = {"workers": 1, **entry.parameters, **entry.per.get(chapter, {})}  # jobs share the cores already
    for content in values.values():
        found |= entry.per.get(str(content), {})
    found |= given | values
    own = {name: found[name] for name in project.parameters(chapter) if name in found}
    changed = {name: content for name, content in own.items() if content != config.FIELDS[name].default}
    parts = [project.chapter(chapter).stem, *(f"s{values[name]}" if name == "seed" else str(values[name]) for name in profiles.GRID if name in values)]
    name = "-".join(re.sub(r"[^A-Za-z0-9_.]+", "-", part).strip("-") for part in parts)
    return Job(chapter, name, changed, tuple(j.name for j in after), tuple(reads))


def default_jobs(jobs: list[Job]) -> dict[str, Job]:
    """The job of each chapter whose executed copy is the chapter's page in the book: the first of the plan."""
    return {job.chapter: job for job in reversed(jobs)}


def sources() -> list[Path]:
    """The files that a chapter's page depends on beside its template: those of this package."""
    return sorted(f for f in provenance.FOLDER.rglob("*") if f.suffix in (".py", ".tsv", ".txt"))


def findings(notebook: Path) -> str:
    """The tables that an executed chapter shows, as text, but not those of texts."""
    content = json.loads(Path(notebook).read_text("utf-8"))
    found = []
    for cell in content["cells"]:
        for data in (output.get("data", {}) for output in cell.get("outputs", ())):
            page = "".join(data.get("text/html", ""))
            if "<table" in page and ">text</th>" not in page:
                found.append("".join(data["text/plain"]))
    return "\n\n".join(found)


def output(job_name: str, run_dir: Path, page: bool = True) -> Path:
    """Where the executed copy of a job lies, or what one without a page leaves."""
    return Path(run_dir) / (f"chapters/{job_name}.ipynb" if page else f"{ATTACKED}/{job_name}.json")


class Relay(io.TextIOBase):
    """A stream that shows a job's progress bars as a line now and then, and what is made again at once, named, so that
    jobs can share a terminal."""

    def __init__(self, label: str, every: float = 5.0):
        self.label, self.every, self.last, self.shown = label, every, time.monotonic(), sys.stderr

    def write(self, text: str) -> int:
        lines = re.split(r"[\r\n]", text)
        for line in lines:
            if line.startswith(store.AGAIN):
                print(f"  {self.label}: {line}", file=self.shown, flush=True)
        bars = [line for line in lines if "%|" in line]
        if bars and time.monotonic() - self.last >= self.every:
            self.last = time.monotonic()
            print(f"  {self.label}: {bars[-1].strip()}", file=self.shown, flush=True)
        return len(text)


def execute(chapter: str, given: dict, out: Path, label: str = "") -> Path:
    """Runs a chapter through papermill in the project's folder and writes the executed copy to `out`.

    `given` are checked parameters.  Raises as `check` before any work, the chapter's own error if it is one of the
    package's, StorageError if a disk is full, ChapterFailed (with the cell's traceback) otherwise; nothing is written then.
    """
    import nbformat

    check(chapter, given)
    with store.storage_errors(out):
        started = time.monotonic()
        done = _executed(chapter, given, Relay(label or chapter))
        done.metadata[foot.KEY] = foot.of_chapter(chapter, given, time.monotonic() - started)
        store.write_text(out, nbformat.writes(done) + "\n")
    return out


def _executed(chapter: str, given: dict, stream: Relay):
    """The executed notebook; raises as `execute`."""
    import papermill
    from nbclient.exceptions import DeadKernelError

    for name in ("asyncio", "traitlets", "papermill"):  # what they say of a kernel that is stopped, we say
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        with tempfile.TemporaryDirectory(prefix="qr-") as room:
            return papermill.execute_notebook(
                str(project.chapter(chapter)), None, parameters=given, cwd=str(project.folder()), progress_bar=False,
                kernel_name="python3", kernel_manager_class=_manager(room),
                start_timeout=STARTED,
                extra_arguments=["--log-level=50"],  # its remarks on starting and stopping
                stdout_file=stream, stderr_file=stream,
            )  # fmt: skip
    except papermill.PapermillExecutionError as e:
        own = {kind.__name__: kind for kind in _errors(QRError)}
        if e.ename in own:
            error = QRError.__new__(own[e.ename])
            Exception.__init__(error, e.evalue)
            raise error from None
        trace = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(e.traceback))
        raise ChapterFailed(f"the chapter {chapter!r} failed: {e.ename}: {e.evalue}\n{trace}") from None
    except DeadKernelError as e:
        raise ChapterFailed(f"the kernel of the chapter {chapter!r} died, most likely for want of memory") from e
    except RuntimeError as e:  # of a kernel that does not start; what fails in a cell is a PapermillExecutionError
        raise ChapterFailed(f"the kernel of the chapter {chapter!r} did not start: {e}; close other programs and try again") from e


def _manager(room: str) -> type:
    """A kernel manager that talks to its kernel by sockets in the folder `room`: no port, no network interface, nothing in the user's home."""
    from jupyter_client.manager import AsyncKernelManager
    from traitlets import CaselessStrEnum, Unicode

    class Local(AsyncKernelManager):
        transport = CaselessStrEnum(["tcp", "ipc"], default_value="ipc")
        ip = Unicode(f"{room}/kernel")
        connection_file = Unicode(f"{room}/kernel.json")

    return Local


def _errors(kind: type) -> list[type]:
    return [kind, *itertools.chain.from_iterable(_errors(sub) for sub in kind.__subclasses__())]
