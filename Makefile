# `make demo` and `make test` are all that a newcomer needs; both make their own .venv from the locks.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install
# The place and the interpreter are part of the stamp, so that a moved checkout installs itself anew.
RUN_STAMP := $(VENV)/.installed-run
DEV_STAMP := $(VENV)/.installed-dev

.PHONY: help demo test lint types format unit bench lock clean

help: ## say what there is
	@grep -E '^[a-z]+:.*## ' Makefile | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

demo: $(RUN_STAMP) ## two weeks at a carrier with one leased account, live in this terminal
	@$(BIN)/watchbill demo

test: lint types unit ## everything that must hold: style, types, laws, tests

lint: $(DEV_STAMP) ## ruff: rules and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(DEV_STAMP) ## mypy --strict
	@$(BIN)/mypy

unit: $(DEV_STAMP) ## pytest on two workers
	@$(BIN)/python -m pytest -n 2

format: $(DEV_STAMP) ## let ruff write what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(DEV_STAMP) ## the figures of docs/figures.md, printed side by side
	@$(BIN)/python benchmarks/run.py

lock: $(DEV_STAMP) ## resolve the dependencies anew and write both lock files
	@scripts/lock

clean: ## remove the environment and caches; a watchbill home is never touched
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find src tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@scripts/find-python --venv $(VENV)

# hatchling stands in both locks: the package itself is installed without a build environment of its own.
$(RUN_STAMP): requirements.lock pyproject.toml | $(BIN)/python
	@echo "installing what Watchbill runs on into $(VENV) (once) ..."
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV_STAMP): requirements-dev.lock pyproject.toml | $(BIN)/python
	@echo "installing what the tests need into $(VENV) (once) ..."
	@$(PIP) --require-hashes -r requirements-dev.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@ $(RUN_STAMP)
