"""`qrsupport study`: run the plan, see how far it is, publish what it made."""

from pathlib import Path

import click

from .. import config, project

FOLDER = click.Path(path_type=Path)
UNITS = click.option("--unit", "names", multiple=True, metavar="NAME", help="Only this unit; repeatable.")
PLAN = click.option("--plan", "file", type=FOLDER, help="Another plan than the book's.")
RESULTS = click.option("--results", type=FOLDER, help="The folder of the published files; else the book's.")
RUN_DIR = click.option("--run-dir", type=FOLDER, help="The run directory; else the usual one.")


@click.group()
def study():
    """The book's study: book/study.toml is its plan."""


def _chosen(file: Path | None, names):
    from . import plan_file as plans

    plan = plans.read(file)
    return plan, [plan.unit(name) for name in names] or list(plan.units)


def _run_dir(given: Path | None) -> Path:
    return Path(given or config.run_dir(config.Parameters())).absolute()


@study.command()
@UNITS
@RUN_DIR
@PLAN
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1), help="Attacking processes.")
@RESULTS
def run(names, run_dir, file, workers, results):
    """Do the plan's units in order; what is there is not done again, what another process holds is passed over.

    A unit whose attacks would use other resources than the plan's published units did stops before any work.
    """
    from . import read, run

    plan, units = _chosen(file, names)
    folder = results or project.sources() / read.FOLDER
    run.run(plan, units, _run_dir(run_dir), workers, lambda line: click.echo(line, err=True), folder)


@study.command()
@PLAN
@RESULTS
def status(file, results):
    """Planned against present, by unit and step, from the published files; exit code 0 only if the plan is met."""
    from ..errors import StudyIncomplete
    from ..report import tables
    from . import read, status

    plan, _ = _chosen(file, ())
    found = status.status(plan, results or project.sources() / read.FOLDER)
    tables.print_table(found.assign(met=found["met"].map({True: "yes", False: "no"})))
    units = found.groupby("unit")["met"].all()
    said = f"{int(units.sum())} of {len(units)} units, {int(found['met'].sum())} of {len(found)} steps of the plan are met"
    if not units.all():
        raise StudyIncomplete(said)
    click.echo(said)


@study.command()
@UNITS
@RUN_DIR
@PLAN
@click.option("--out", type=FOLDER, help="The folder to write into; else the book's.")
@click.option("--blind", is_flag=True, help="Also units that are not looked at before the analysis is fixed.")
def export(names, run_dir, file, out, blind):
    """Publish units: one Parquet file and a manifest each, no text of a data set; else those that are whole."""
    from . import plan_file as plans
    from . import published, read

    plan, units = _chosen(file, names)
    folder = _run_dir(run_dir)
    shown = [unit for unit in units if blind or not unit.blind]
    whole = units if names else [unit for unit in shown if plans.noted(folder, unit).get("complete")]
    for unit in whole:
        for path in published.export(folder, unit, plan.version, out or project.sources() / read.FOLDER):
            click.echo(path)
    if not whole:
        click.echo(f"no unit is whole under {folder}; name one with --unit to publish what there is of it", err=True)


@study.command()
@click.argument("name", metavar="UNIT")
@click.option("-n", "n", default=10, show_default=True, type=click.IntRange(1), help="Examples attacked again.")
@click.option("--run-dir", type=FOLDER, required=True, help="An empty folder to make them in.")
@PLAN
@RESULTS
def check(name, n, run_dir, file, results):
    """Make a part of UNIT's published records again from scratch, fine-tuning first; exit code 1 if they differ."""
    from ..report import tables
    from . import check, read

    _, (unit,) = _chosen(file, (name,))
    found = check.check(unit, results or project.sources() / read.FOLDER, run_dir.absolute(), n)
    tables.print_table(found.table)
    click.echo(found.said)
    click.get_current_context().exit(0 if found.good else 1)


@study.command()
@click.argument("logs", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--out", required=True, type=FOLDER, help="The JSON file to write.")
def evidence(logs, out):
    """Count what attack logs in the folder LOGS say that others published: numbers only, in one file."""
    from .. import store
    from . import evidence

    store.write_json(out, evidence.measure(logs))
    click.echo(out)
