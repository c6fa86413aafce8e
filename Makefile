# make         the environment, in .venv, from requirements.lock
# make book    the environment, the chapters, the site, the headline table
# make links   whether every external address in the book answers; after make book, needs a network
# make pdf     the book as _build/book.pdf; after make book, needs Chromium or Chrome
# make course  the student edition, in _build/course
# make check   the environment, ruff and mypy over the package, a linter over the prose (seconds)
# make test    the environment, all tests, in two processes (JOBS); ARGS='-m "not slow"' leaves the long ones out
# make cluster-test   the same jobs through a SLURM of one node that it starts and stops; as root, needs slurm-wlm and munge
# make grid-dry-run   what `make book` would do: jobs, then queries, hours and gigabytes; starts nothing
# make bench   how much faster the engine is than TextAttack; writes _build/bench.json (half an hour, quiet)
# make kept           what kept answers save; writes book/results/kept.json (minutes, quiet)
# make search         where an attack spends its time; ARGS="--before FOLDER"; writes book/results/search.json (ten minutes, quiet)
# make waits          what people wait for; ARGS="--before FOLDER --long"; writes book/results/waits.json (minutes, quiet)
# make memory         the megabytes that workers take; ARGS="--before FOLDER"; writes book/results/memory.json (minutes)
# make scale   what the workflow itself costs; writes book/results/scale.json (a quarter of an hour, quiet)
# make soak    kills (KILLS, default 100), resumes and compares a run of all stages; interrupts; memory (a quarter of an hour)
# make clean   remove _build and .snakemake (not the environment, a QRSUPPORT_RUNS elsewhere, or the cache directory)
#
# PYTHON   the Python that makes the environment, 3.11 or later
# PROFILE  quick (default), study or paper; see `qrsupport list`
# CORES    jobs at a time; default: all cores
# EXECUTOR where jobs run: local (default) or slurm
# ARGS     further arguments of `qrsupport book`, such as ARGS="-p n 100"

PYTHON ?= python3
PROFILE ?= quick
CORES ?=
EXECUTOR ?= local
ARGS ?=
KILLS ?= 100
JOBS ?= 2
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: env book study links pdf course check test cluster-test grid-dry-run bench kept search waits memory scale soak clean
.DELETE_ON_ERROR:

env: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: $(PYTHON) is missing or older than 3.11; name a newer one: make PYTHON=python3.12" >&2; exit 2; }
	@test -x $(BIN)/python || { echo "creating .venv"; $(PYTHON) -m venv .venv; }
	$(BIN)/python -m pip install -r requirements.lock
	$(BIN)/python -m pip install --no-deps --no-build-isolation -e .
	@$(BIN)/qrsupport fetch minilm-l6 || echo "going on without the weights of minilm-l6: chapters use bert-small" >&2
	@touch $@

book: $(STAMP)
	@$(BIN)/qrsupport book --profile $(PROFILE) --executor $(EXECUTOR) $(if $(CORES),--cores $(CORES)) $(ARGS)

study: PROFILE := study
study: book

links pdf: $(STAMP)
	@$(BIN)/qrsupport $@

course: $(STAMP)
	@$(BIN)/qrsupport course --out _build/course

check: $(STAMP)
	$(BIN)/ruff check qrsupport tests
	$(BIN)/mypy
	$(BIN)/python tests/prose.py

test: $(STAMP)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

soak: $(STAMP)
	@OMP_NUM_THREADS=1 $(BIN)/python tests/soak.py --kills $(KILLS) $(ARGS)

cluster-test: $(STAMP)
	QRSUPPORT_CLUSTER=1 $(BIN)/python -m pytest tests/test_cluster.py $(ARGS)

grid-dry-run: $(STAMP)
	@$(BIN)/qrsupport book --profile $(PROFILE) --dry-run $(ARGS)
	@$(BIN)/qrsupport plan --profile $(PROFILE) $(ARGS)

bench: $(STAMP)
	@PYTHONPATH=tests $(BIN)/python -m benchmarks.bench $(ARGS)

kept: $(STAMP)
	@PYTHONPATH=tests $(BIN)/python -m benchmarks.kept $(ARGS)

search: $(STAMP)
	@PYTHONPATH=tests $(BIN)/python -m benchmarks.search $(ARGS)

waits: $(STAMP)
	@PYTHONPATH=tests $(BIN)/python -m benchmarks.waits $(ARGS)

memory: $(STAMP)
	@PYTHONPATH=tests $(BIN)/python -m benchmarks.memory $(ARGS)

scale: $(STAMP)
	@PYTHONPATH=tests $(BIN)/python -m benchmarks.scale $(ARGS)

clean:
	rm -rf _build .snakemake
