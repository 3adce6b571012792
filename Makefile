# What a developer runs. `make` alone lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
MAKEFLAGS += --no-builtin-rules

export PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip --quiet --disable-pip-version-check --no-input
# What was installed is compiled afterwards, by all cores; pip would do it with one.
COMPILE := $(BIN)/python -m compileall -qq -j 0 .venv/lib

# Stamps: a set-up step runs again only when what it was made from is newer.
RUNTIME := .venv/.runtime
DEV := .venv/.dev
NODE := node_modules/.ready
CATALOGUES := $(patsubst %.po,%.mo,$(wildcard translations/*/LC_MESSAGES/*.po))

.PHONY: help
help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##--------------------------------------------------------------------- commands

.PHONY: run
run: setup ## Set up, then start Placet at http://localhost:8000 and the example shop beside it
	@$(BIN)/placet demo $(ARGS)

.PHONY: test
test: system-test setup-dev ## Run the tests, on SQLite and PostgreSQL (ARGS="-k consent" to choose)
	$(BIN)/pytest -n 2 --dist worksteal -m "not soak" $(ARGS)

.PHONY: check
check: $(DEV) ## Lint, formatting, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: format
format: $(DEV) ## Format the code and mend what the linter can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: soak
soak: system-test setup-dev ## Run the long tests: large tables, attacks, kills
	$(BIN)/pytest -m soak $(ARGS)

.PHONY: bench
bench: system-bench setup-dev ## Measure; writes bench/results.json (ONLY=name for one, PEOPLE=1000000)
	$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY)) $(if $(PEOPLE),--people $(PEOPLE)) $(ARGS)

.PHONY: setup
setup: $(RUNTIME) $(CATALOGUES) ## Set up what `make run` needs
	@:

.PHONY: setup-dev
setup-dev: $(DEV) $(NODE) $(CATALOGUES) ## Set up what `make test` needs
	@:

.PHONY: lock
lock: $(DEV) ## Choose package versions anew and write the lock files
	$(PIP) install uv
	make.d/lock
	PATH="$(CURDIR)/$(BIN):$$PATH" npm install --package-lock-only --ignore-scripts

##----------------------------------------------------------------------- set-up

.PHONY: system-test system-bench
system-test system-bench: system-%:
	@make.d/system-packages $*

$(BIN)/python:
	@make.d/system-packages run
	$(PYTHON) -m venv --clear .venv

$(RUNTIME): requirements.lock pyproject.toml | $(BIN)/python
	$(PIP) install --no-compile --only-binary :all: --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	$(COMPILE)
	@touch $@

$(DEV): requirements-dev.lock pyproject.toml | $(BIN)/python
	$(PIP) install --no-compile --only-binary :all: --require-hashes -r requirements-dev.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	$(COMPILE)
	@touch $(RUNTIME) $@

$(NODE): package-lock.json package.json .npmrc | $(DEV)
	PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

translations/%.mo: translations/%.po | $(RUNTIME)
	$(BIN)/pybabel --quiet compile -i $< -o $@
