# Everything runs in an environment of its own, so a machine needs Python 3.11+, git and make, and nothing else.
# torch is pinned in constraints.txt; PIP_ARGS passes more to pip (an index of CPU-only builds, for instance).

PYTHON ?= python3
VENV ?= .venv
PIP_ARGS ?=
BIN := $(abspath $(VENV))/bin
DEMO ?= build/demo
# In the order of collection whole pipelines come first, so that small files are left for the end. One worker more than
# two cores: servers, scrapes and what else is waited for leave them idle.
SIDE_BY_SIDE := --dist loadfile --no-loadscope-reorder
# The tests start thousands of Pythons, none of which is to compile everything anew.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help demo monitor-demo canary-demo pictures test lint lint-style lint-types lint-imports lint-names unit \
  benchmarks clean

help:
	@echo "make demo          train the digits model, compress it, measure it, judge it (in $(DEMO), which git ignores)"
	@echo "make monitor-demo  serve that model and its int8 canary, let the canary go wrong, watch Prometheus find out"
	@echo "make canary-demo   promote that canary step by step, then roll a bad one back: HAProxy, Prometheus, Alertmanager"
	@echo "make pictures      draw the pictures of README and docs anew from these demos (needs Chromium)"
	@echo "make test          lint, types, import contracts and every test"
	@echo "make lint          lint, types and import contracts only"
	@echo "make unit          tests of single parts only, in a minute or so"
	@echo "make benchmarks    what we promise about speed, as ratios measured side by side"
	@echo "make clean         remove the environment and everything built"

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "makeweight needs Python 3.11 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV) \
	  || { echo "no venv module: on Debian and Ubuntu, apt install python3-venv" >&2; exit 2; }

# One stamp per set of extras: installing again happens only when what is to be installed changed. pip would compile all
# of it on one core, the tests of every package too, which takes as long as the rest; what does not compile is left.
$(VENV)/.demo $(VENV)/.dev: $(VENV)/.%: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile $(PIP_ARGS) -c constraints.txt -e '.[$*]'
	@$(BIN)/python -m compileall -qq -j 0 -x 'site-packages/.*/tests?/' $(abspath $(VENV))/lib || true
	@touch $@

demo: $(VENV)/.demo
	@PATH="$(BIN):$$PATH" bash examples/demo.sh $(DEMO)

monitor-demo: $(VENV)/.demo
	@PATH="$(BIN):$$PATH" bash examples/monitoring/demo.sh shade $(DEMO) $(ARGS)

canary-demo: $(VENV)/.demo
	@PATH="$(BIN):$$PATH" bash examples/monitoring/demo.sh rollout $(DEMO) $(ARGS)

pictures: $(VENV)/.demo
	@PATH="$(BIN):$$PATH" $(BIN)/python -m docs.pictures.draw $(DEMO)

test: lint
	$(BIN)/python -m pytest -n 3 $(SIDE_BY_SIDE)

unit: $(VENV)/.dev
	$(BIN)/python -m pytest tests/unit -n 2 $(SIDE_BY_SIDE)

# Two at a time, those that take longest first: mypy keeps one core busy and no more.
lint: $(VENV)/.dev
	@$(MAKE) --no-print-directory --jobs 2 lint-types lint-names lint-imports lint-style

lint-types lint-names lint-imports lint-style: $(VENV)/.dev

lint-style:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lint-types:
	$(BIN)/mypy

lint-imports:
	$(BIN)/lint-imports --no-logo

lint-names:
	$(BIN)/python tests/collected_twice.py

benchmarks: $(VENV)/.dev
	@PATH="$(BIN):$$PATH" bash benchmarks/all.sh

clean:
	rm -rf $(VENV) build dist
