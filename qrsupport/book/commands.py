"""`qrsupport run`, `attack`, `shard`, `book` and what is made of the book: chapters, jobs, the site, the student edition, the PDF."""

import contextlib
import time
from pathlib import Path

import click

from .. import config, profiles, project
from . import chapters, grid

PROFILE = click.option("--profile", default="quick", show_default=True, help="Which set of parameters: a name or a file.",
                       callback=lambda *given: profiles.settled(given[-1]))  # fmt: skip
PAIRS = click.option("-p", "pairs", nargs=2, multiple=True, metavar="NAME VALUE", help="Set a parameter; repeatable.")


@click.command()
@click.argument("chapter")
@PAIRS
@click.option("--out", type=click.Path(path_type=Path), help="The executed copy; else it goes into the run directory.")
@click.option("--label", default="", hidden=True)
def run(chapter, pairs, out, label):
    """Run CHAPTER with other parameters, checked before any work; print its tables and where the executed copy is.

    \b
    qrsupport run attack -p attack pwws -p variant int8-dynamic -p n 20
    """
    given = chapters.parse(chapter, pairs)
    if out is None:
        folder = config.run_dir(config.make(**given))
        out = chapters.output(f"{project.chapter(chapter).stem}-{config.key(given)}", folder)
    started = time.monotonic()
    if label:
        click.echo(f"  {label}: started", err=True)
    chapters.execute(chapter, given, out, label)
    click.echo(f"{chapters.findings(out)}\n\n{out}")
    if label:
        click.echo(grid.progress(out.parent.parent, label, time.monotonic() - started), err=True)


@click.command()
@PAIRS
@click.option("--out", type=click.Path(path_type=Path), help="A JSON file to write when all is recorded.")
@click.option("--label", default="", hidden=True)
def attack(pairs, out, label):
    """Attack a variant and replay its adversarial set on the targets: the records of the attack chapter, without its page.

    \b
    qrsupport attack -p attack pwws -p variant int8-dynamic -p n 20
    """
    given = chapters.parse("attack", pairs)
    chapters.check("attack", given)
    from .. import pipeline, store

    started, p = time.monotonic(), config.make(**given)
    with contextlib.redirect_stderr(chapters.Relay(label)) if label else contextlib.nullcontext():
        found = pipeline.attack(p)
        replays = pipeline.matrix(p, [p.variant], config.split(p.targets))
    if out:
        store.write_json(out, {"records": len(found), "replays": len(replays), "seconds": round(time.monotonic() - started, 1)})
    if label:
        click.echo(grid.progress(out.parent.parent, label, time.monotonic() - started), err=True)
        return
    from ..analysis import metrics
    from ..report import show

    shown = show.direct_table(metrics.direct(metrics.frames(found))), show.transfer_table(metrics.transfer(metrics.replay_frames(replays)))
    click.echo("\n\n".join(map(repr, shown)) + f"\n\n{config.run_dir(p)}")


@click.command()
@click.option("--part", required=True, type=int, help="Which part, from 1.")
@click.option("--of", required=True, type=int, help="Of how many.")
@PAIRS
@click.option("--out", type=click.Path(path_type=Path), help="A JSON file to write when the part is done.")
@click.option("--label", default="", hidden=True)
def shard(part, of, pairs, out, label):
    """Attack one part of an attack's examples, on any machine that shares the run directory.

    The chapter, or `qrsupport.attack`, with the same parameters takes over what all parts made.

    \b
    qrsupport shard --part 3 --of 20 -p attack pso -p variant int8-dynamic
    """
    given = chapters.parse("attack", pairs)
    chapters.check("attack", given)
    from .. import pipeline, store

    started = time.monotonic()
    found = pipeline.attack_shard(config.make(**given), part, of, progress=not label)
    if out:
        store.write_json(out, {"part": part, "of": of, "records": len(found), "seconds": round(time.monotonic() - started, 1)})
    if label:
        click.echo(grid.progress(out.parent.parent, label, time.monotonic() - started), err=True)
    else:
        click.echo(f"{len(found)} records of part {part} of {of}")


@click.command(hidden=True)
@click.argument("executed", nargs=-1, type=click.Path(path_type=Path))
def site(executed):
    """Build the site from executed chapters (the workflow's last job)."""
    from .. import store
    from . import build

    click.echo("  building the site", err=True)
    with store.storage_errors(project.folder() / "_build"):
        build.site(list(executed))


@click.command()
@PROFILE
@click.option("--cores", type=click.IntRange(1), help="Jobs at a time; else all cores, on a queue 100.")
@click.option("--executor", default="local", show_default=True, type=click.Choice(grid.EXECUTORS), help="Where jobs run.")
@click.option("-q", "asked", nargs=2, multiple=True, metavar="NAME VALUE", help="What every job asks of a queue; repeatable.")
@click.option("--records", is_flag=True, help="Only run the jobs; build no site.")
@click.option("--dry-run", is_flag=True, help="Only count the jobs that would run.")
@click.option("--leave", is_flag=True, help="On Ctrl-C leave the jobs in the queue; else they are cancelled.")
@PAIRS
def book(profile, cores, executor, asked, records, dry_run, leave, pairs):
    """Run a profile's chapters and build the site; do only what has changed.

    \b
    qrsupport book --profile paper --executor slurm -q partition main -q account me
    """
    from . import build

    given = {name: config.parse(name, text) for name, text in pairs}
    place, target = grid.Place(executor, cores, grid.asked(asked), leave), grid.RECORDS if records else grid.SITE
    if dry_run:
        given = build.at_hand(profile, given)
        click.echo(grid.dry_run(profile, given, build.runs(profile, given), target))
    else:
        build.make(profile, given, place, target)


@click.command()
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The folder to write into.")
def course(out):
    """The student edition: the pages with exercises as notebooks, without solutions, with checks of the answers.

    A file that was changed since it was written is left as it is.
    """
    from . import course as edition

    written, kept = edition.write(out)
    for file in written:
        click.echo(file)
    for file in kept:
        click.echo(f"left as it is, for it was changed or is not of the student edition: {file}", err=True)


@click.command()
def links():
    """Ask every external address in the book whether it still answers, after `make book`; needs a network."""
    from . import publish

    click.echo(publish.links(lambda line: click.echo(line, err=True)))


@click.command()
def pdf():
    """The book as one PDF, after `make book`; needs Chromium or Chrome."""
    from . import publish

    click.echo(publish.pdf(lambda line: click.echo(line, err=True)))


COMMANDS = (run, attack, shard, site, book, course, links, pdf)
