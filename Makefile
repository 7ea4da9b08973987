# landweave: every target sets up its own environment; nothing is needed but Python >= 3.11.
SHELL := bash
.DEFAULT_GOAL := help

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: help demo test check slow clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## /\1\t/' | column -t -s $$'\t'

$(VENV)/installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "landweave needs Python >= 3.11; set PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

demo: $(VENV)/installed ## simulate a small country, map it, report on it (in landweave-demo/)
	$(BIN)/landweave demo landweave-demo

test: $(VENV)/installed-test ## the daily tests, with coverage
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered

check: $(VENV)/installed-test ## linters and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

slow: $(VENV)/installed-test ## the tests that take longer than the daily suite allows
	$(BIN)/python -m pytest -m slow

clean: ## remove the environment and what the tools left
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage build dist
