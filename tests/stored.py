"""All that lies in a run directory, as it is; `qrsupport.analysis.runs.load` also tells runs with other parameters apart."""

from pathlib import Path

from qrsupport import recorded, records


def all_records(run_dir, kind=records.Record):
    """Every record (or replay), folder by folder."""
    return [r for folder in recorded.folders(run_dir, kind) for r in folder.load()]


def all_clean(run_dir):
    """The clean predictions of every variant."""
    return [recorded.read_clean(f.parent) for f in sorted(Path(run_dir).glob(f"clean/*/{recorded.PREDICTIONS}"))]
