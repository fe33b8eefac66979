# Every target sets up .venv first when it is missing or older than the lock.
# Variables: PYTHON (interpreter for .venv), CORES, ARGS (passed on to snakemake, pytest, mutmut, the benchmarks, mkdocs or uv).

PYTHON ?= python3
CORES ?= 8
ARGS ?=

VENV := .venv
STAMP := $(VENV)/.installed
BUSY := $(VENV)/.installing
# Older pips would otherwise build by `setup.py install`.
PIP := PIP_USE_PEP517=1 $(VENV)/bin/python -m pip --disable-pip-version-check

# First on PATH, so that every tool and every `script:` rule runs on this environment's python.
RUN := PATH="$(CURDIR)/$(VENV)/bin:$$PATH"

# A worker for each processor; tests/conftest.py tells which tests go together, and first.
PYTEST := pytest --numprocesses logical --no-loadscope-reorder

# Some machines' pip configuration caps these two here: a newer lock would not install there.
PINS := torch==2.14.1 torchvision==0.29.1

# The one lint we do not follow: the lock, not conda, provides what Snakemake and all rules run on.
WAIVED_LINT := Specify a conda environment or container for each rule.

.DEFAULT_GOAL := help
.PHONY: help figures smoke test test-all mutants bench check docs format lock clean-venv

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo 'Examples: make figures ARGS="--configfile config/paper.yaml"; make test ARGS="-k cells"'

figures: $(STAMP) ## draw every figure of config.yaml
	$(RUN) snakemake --cores $(CORES) all_figures $(ARGS)

smoke: $(STAMP) ## draw every figure, tiny, in under two minutes
	$(RUN) snakemake --cores $(CORES) all_figures --configfile config/smoke.yaml $(ARGS)

test: $(STAMP) ## run the tests, but for those marked long
	$(RUN) $(PYTEST) -m 'not long' $(ARGS)

test-all: $(STAMP) ## run all tests: SLURM, a browser, random kills, the whole smoke preset
	$(RUN) $(PYTEST) $(ARGS)

mutants: $(STAMP) ## change the code bit by bit and see whether tests notice (about an hour)
	$(RUN) OMP_NUM_THREADS=1 MPLBACKEND=agg mutmut run $(ARGS)
	$(RUN) mutmut results

bench: $(STAMP) ## measure the engine and record it (about 15 minutes; ARGS=--quick: one)
	$(RUN) OMP_NUM_THREADS=1 python -m benchmarks $(ARGS)

check: $(STAMP) ## check format, lint, types and who imports whom
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) snakefmt --check Snakefile workflow
	@echo 'snakemake --lint'; lints=$$($(RUN) snakemake --lint 2>&1) || \
	{ titles=$$(printf '%s\n' "$$lints" | grep '^    \* ') && \
	! printf '%s\n' "$$titles" | grep -qvF '$(WAIVED_LINT)'; } || \
	{ printf '%s\n' "$$lints"; exit 1; }
	$(RUN) mypy
	$(RUN) lint-imports --no-cache

# The variable silences a notice of the theme about its own future.
docs: $(STAMP) ## build the documentation into build/site, strictly and without network
	$(RUN) NO_MKDOCS_2_WARNING=1 mkdocs build --strict $(ARGS)

format: $(STAMP) ## format the code and mend what lint can mend
	$(RUN) ruff check --fix .
	$(RUN) ruff format .
	$(RUN) snakefmt Snakefile workflow

lock: ## resolve pyproject.toml into requirements.lock (ARGS=--upgrade: newest versions)
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && \
	$(PYTHON) -m venv "$$dir" && "$$dir/bin/pip" install --quiet uv && \
	printf '%s\n' $(PINS) setuptools hatchling | "$$dir/bin/uv" pip compile --quiet pyproject.toml - \
	  --extra slurm --extra dev --extra docs --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-annotate --output-file requirements.lock $(ARGS)

clean-venv: ## remove .venv
	rm -rf $(VENV)

# BUSY outlives an install that was cut short; then nothing in .venv can be trusted.
# setuptools goes first, for without build isolation the one locked package that has no wheel is
# built by the locked setuptools and not by whichever is newest that day; the project, last, is
# built by the locked hatchling.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo 'idpipe needs Python 3.11 or later. Name one: make PYTHON=python3.12 ...' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || \
	{ echo 'This Python has no venv module. On Debian: apt-get install python3-venv' >&2; exit 1; }
	@if [ -e $(BUSY) ] && kill -0 "$$(cat $(BUSY))" 2>/dev/null; then \
	echo "Process $$(cat $(BUSY)) is installing $(VENV): wait for it, or make clean-venv" >&2; exit 1; fi
	@if [ -e $(BUSY) ]; then rm -rf $(VENV); fi
	@rm -f $@ && mkdir -p $(VENV) && echo "$$PPID" > $(BUSY)
	$(PYTHON) -m venv $(VENV)
	@sed -n '/^setuptools==/,/[^\\]$$/p' requirements.lock > $(VENV)/build.lock
	$(PIP) install --require-hashes --requirement $(VENV)/build.lock
	$(PIP) install --require-hashes --no-build-isolation --requirement requirements.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@ && rm -f $(BUSY)
