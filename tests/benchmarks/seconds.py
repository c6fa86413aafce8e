"""Seconds an example: TextFooler, PWWS and PSO on pretrained backbones, fp32 and int8-dynamic, film reviews, local words.

    QRSUPPORT_DATA=... python tests/benchmarks/seconds.py --run-dir DIRECTORY

One process, one thread.  The backbones are fine-tuned on a few sentences only: how long an answer takes does not depend on
what was learnt; how many a search needs does, so queries and seconds for a thousand of them stand beside.  PSO, which can
ask for ten thousands, gets a budget of BUDGET queries.  Skipped examples are not counted.
"""

import argparse

from qrsupport import config, pipeline, records

EXAMPLES = {"textfooler": 20, "pwws": 10, "pso": 5}
BUDGET = 2000


def main() -> None:
    """Prints one line for each backbone, variant and attack."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--run-dir", required=True)
    parser.add_argument("--backbones", default="minilm-l6,mpnet-base")
    parser.add_argument("--train-limit", type=int, default=400)
    given = parser.parse_args()
    for backbone in given.backbones.split(","):
        for attack, n in EXAMPLES.items():
            p = config.make(dataset="mr", resources="local", backbone=backbone, attack=attack, n=n, epochs=2,
                            query_budget=BUDGET if attack == "pso" else 0, train_limit=given.train_limit, run_dir=given.run_dir)  # fmt: skip
            for variant in ("fp32", "int8-dynamic"):
                made = pipeline.attack(p, variant, progress=False)[:n]
                tried = [r for r in made if r.status is not records.Status.skipped]
                seconds = sum(r.timing["seconds"] for r in tried) / max(1, len(tried))
                queries = sum(r.queries for r in tried) / max(1, len(tried))
                print(f"{backbone:12} {variant:13} {attack:11} {seconds:8.2f} s and {queries:6.0f} queries an example, "
                      f"{1000 * seconds / max(1, queries):6.2f} s for 1,000 queries, n {len(tried)}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
