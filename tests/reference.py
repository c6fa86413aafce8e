"""The outcomes of a small run, as digests: what a change of the code's shape must not change.

    python tests/reference.py --run-dir DIRECTORY --out before.json
    python tests/reference.py --run-dir ANOTHER --against before.json

Generated data; `minilm-l6` and both small backbones; three attacks on 20 examples, fp32 and int8-dynamic; a replay; w4a4.
A digest is over all fields of all records but timing and identity.  Comparable on one machine: fine-tuning differs between
processors in the last bits.  Exit code 1 if a digest differs.
"""

import argparse
import dataclasses
import hashlib
import json
import sys
from pathlib import Path

from qrsupport import config, pipeline

SMALL = {"train_limit": 1200, "epochs": 3}
BACKBONES = {"minilm-l6": {}, "bert-small": SMALL, "distilbert-small": SMALL}
ATTACKS = {"textfooler": 20, "pwws": 20, "pso": 20}


def digest(found) -> str:
    """SHA-256 over records, without what differs between two runs or two versions of the code."""
    later = {name: config.FIELDS[name].default for name in config.LATER}  # not in records of before they were added
    kept = [{k: v for k, v in dataclasses.asdict(r).items() if k not in ("timing", "made_by")} for r in found]
    rows = [{k: v for k, v in row.items() if v != later.get(k, ...)} for row in kept]
    return hashlib.sha256(json.dumps(rows, sort_keys=True, default=str).encode()).hexdigest()


def outcomes(run_dir: str) -> dict[str, str]:
    """What was done → the digest of its records."""
    found = {}
    for backbone, settings in BACKBONES.items():
        for attack, n in ATTACKS.items():
            p = config.make(backbone=backbone, attack=attack, n=n, run_dir=run_dir, **settings)
            for variant in ("fp32", "int8-dynamic", *(["w4a4"] if attack == "textfooler" else [])):
                found[f"{backbone} {attack} {variant}"] = digest(pipeline.attack(p, variant))
            found[f"{backbone} {attack} fp32 to int8-dynamic"] = digest(pipeline.replay(p, "fp32", "int8-dynamic"))
    return found


def main() -> int:
    """Runs, writes or compares."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--run-dir", required=True)
    parser.add_argument("--out")
    parser.add_argument("--against")
    given = parser.parse_args()
    found = outcomes(given.run_dir)
    if given.out:
        Path(given.out).write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    old = json.loads(Path(given.against).read_text("utf-8")) if given.against else found
    differing = sorted(name for name in {*old, *found} if old.get(name) != found.get(name))
    print(f"{len(found)} digests, {len(differing)} differ{': ' if differing else ''}{', '.join(differing)}")
    return int(bool(differing))


if __name__ == "__main__":
    sys.exit(main())
