# `make test` runs faults against a real database and judges it; `make check` passes the tests. README.md says more.
# GNU make 3.81 or later. Everything goes into .venv; nothing else on the machine is changed.

PYTHON ?= python3
RUN := .venv/bin/faultline
FLAGS = $(if $(TARGET),--target '$(TARGET)') $(if $(WORKLOAD),--workload '$(WORKLOAD)') $(if $(FAULTS),--faults '$(FAULTS)') \
  $(if $(ISOLATION),--opts 'isolation=$(ISOLATION)') $(if $(TOPOLOGY),--opts 'topology=$(TOPOLOGY)') \
  $(if $(SYNC),--opts 'sync=$(SYNC)') $(if $(OPTS),--opts '$(OPTS)') $(if $(MODEL),--model '$(MODEL)') \
  $(if $(ON),--on '$(ON)') $(if $(HOSTS),--hosts '$(HOSTS)') $(if $(NODES),--nodes '$(NODES)') $(if $(IMAGE),--image '$(IMAGE)') $(if $(TIME),--time '$(TIME)') \
  $(if $(RATE),--rate '$(RATE)') $(if $(CONCURRENCY),--concurrency '$(CONCURRENCY)') $(if $(SEED),--seed '$(SEED)') \
  $(if $(RUNS),--runs '$(RUNS)')

.PHONY: help test check prove lint types unit doctor list images clean lock

help:
	@echo 'make test                      faults against a real PostgreSQL on this machine, 30 s, and a verdict'
	@echo 'make test TARGET=cassandra     the same on three nodes in Docker (also: etcd, postgres)'
	@echo 'make check                     lint, types and all tests that this machine can run'
	@echo 'make prove                     checkers against brute force, 20,000 random histories each (EXAMPLES=...; hours)'
	@echo 'make doctor                    what this machine can do, by trying'
	@echo 'make images                    database images from packages, where no image registry answers'
	@echo 'make clean                     remove what a crashed run left'
	@echo 'Variables of make test: TARGET WORKLOAD FAULTS ISOLATION TOPOLOGY SYNC OPTS MODEL ON HOSTS NODES IMAGE TIME RATE CONCURRENCY SEED RUNS'

test: .venv/ready
	@$(RUN) test $(FLAGS)

check: lint types unit

lint: .venv/ready
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types: .venv/ready
	.venv/bin/mypy

# What only computes runs on all cores; whole runs, which mostly wait, two at a time; what looks at single processes has the
# machine to itself. A test that fails is repeated (and listed as RERUN), because a machine may be too slow for once:
# examples are the same each time, so what is wrong fails again. A wrong verdict on a database is not repeated.
PURE := tests/checkers tests/workloads tests/targets/test_simulated.py
WHOLE_RUNS := tests/e2e
AGAIN := -raR --rerun-except WrongVerdict --reruns

unit: .venv/ready
	.venv/bin/pytest $(AGAIN) 1 -n auto --dist worksteal $(PURE)
	.venv/bin/pytest $(AGAIN) 2 -n 2 --dist loadfile $(WHOLE_RUNS)
	.venv/bin/pytest $(AGAIN) 2 $(PURE:%=--ignore=%) $(WHOLE_RUNS:%=--ignore=%)

# The nightly depth of the tests that compare checkers with brute force; `make check` runs 600 of each.
prove: .venv/ready
	FAULTLINE_EXAMPLES=$(or $(EXAMPLES),20000) .venv/bin/pytest -ra -n auto --dist worksteal --timeout=14400 tests/checkers

doctor list images clean: .venv/ready
	@$(RUN) $@

.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Faultline needs Python 3.11 or later; '$(PYTHON)' is older or missing. Name another one: make PYTHON=python3.12"; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' has no venv. On Debian and Ubuntu: apt-get install python3-venv"; exit 2; }
	@echo 'Preparing .venv (once, about a minute) ...'
	@$(PYTHON) -m venv .venv
	@.venv/bin/pip install -q --disable-pip-version-check --require-hashes --only-binary :all: -r requirements.lock
	@.venv/bin/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@echo 'Compiling the checkers (once, about half a minute) ...'
	@$(RUN) compile
	@touch .venv/ready

# Needs uv: pip install uv
lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  requirements.in -o requirements.lock
