# Every target sets up what it needs, from nothing but a Python of at least 3.11.
SHELL := bash
VENV ?= .venv
SERVERS ?= .servers
BIN := $(VENV)/bin
# CONSTRAINTS=constraints.txt installs the versions that were tested; without, the newest that pyproject.toml allows.
CONSTRAINTS ?=
PIP := $(BIN)/python -m pip install --quiet $(if $(CONSTRAINTS),--constraint '$(CONSTRAINTS)')
export LANDWEAVE_SERVERS := $(abspath $(SERVERS))

.DEFAULT_GOAL := help
.PHONY: help demo test coverage slow servers bench check docs sbom format clean

help: ## print the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.for-demo ## simulate a small country and map it into landweave-demo/
	$(BIN)/landweave demo landweave-demo
	@echo 'the map in a browser: $(BIN)/landweave view landweave-demo'

test: $(VENV)/.for-test ## run the tests
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

coverage: $(VENV)/.for-test ## run the tests and list the lines that they do not reach; a fifth slower
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --cov --cov-report=term-missing:skip-covered

slow: $(VENV)/.for-test ## run the tests that take longer than the daily ones may
	$(BIN)/python -m pytest -m slow

servers: $(VENV)/.for-test ## install the servers that tests of archives talk to; they skip without (Debian, root)
	.ci/install-servers '$(SERVERS)' '$(BIN)/python'

bench: $(VENV)/.for-bench ## measure against eo-learn, an hour; BENCH='--size 200' tries it: see benchmarks/RESULTS.md
	$(BIN)/python benchmarks/compare.py $(BENCH)

check: $(VENV)/.for-test ## lint, check the format and the types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

docs: $(VENV)/.for-docs ## build the documentation into site/; warnings are errors, and it loads nothing from other servers
	rm -rf site
	@# All pages are read again, since Sphinx would not repeat the warnings of those that did not change.
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet --fresh-env --doctree-dir build/doctrees docs site
	$(BIN)/python docs/check_site.py site
	@echo 'the documentation: site/index.html'

sbom: $(VENV)/.for-demo ## list all that landweave installs, with versions and licences, as CycloneDX in sbom.json
	@# In an environment of its own, which is not part of the list.
	test -x .venv-sbom/bin/cyclonedx-py || { $(BIN)/python -m venv .venv-sbom && .venv-sbom/bin/python -m pip install --quiet 'cyclonedx-bom>=7'; }
	.venv-sbom/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-format JSON --output-file sbom.json '$(BIN)/python'

format: $(VENV)/.for-test ## put the code in its form
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

clean: ## remove the environment, the demo and all that tools leave behind
	rm -rf $(VENV) $(SERVERS) landweave-demo landweave-bench .venv-eolearn .venv-sbom sbom.json site build dist .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis .benchmarks
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Installed again only when pyproject.toml has changed.
$(VENV)/.for-demo: pyproject.toml
	$(make_venv)
	$(PIP) --editable '.[viewer]'
	touch $@

$(VENV)/.for-test: pyproject.toml
	$(make_venv)
	$(PIP) --editable '.[test]'
	@# Only its model file is read: what else it asks for (OpenCV) stays away.
	$(PIP) --no-deps 's2cloudless>=1.7'
	touch $@ $(VENV)/.for-demo

$(VENV)/.for-docs: pyproject.toml
	$(make_venv)
	$(PIP) --editable '.[docs]'
	touch $@ $(VENV)/.for-demo

$(VENV)/.for-bench: $(VENV)/.for-test
	$(PIP) --editable '.[test,bench]'
	touch $@

# Each candidate is asked, since a name on the path may be a shim for a Python that is not there.
define make_venv
	@$(BIN)/python -c '' 2> /dev/null && exit; \
	for python in $(if $(PYTHON),'$(PYTHON)',python3.13 python3.12 python3.11 python3); do \
	    if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then \
	        echo "making $(VENV) with $$("$$python" --version)"; exec "$$python" -m venv --clear '$(VENV)'; \
	    fi; \
	done; \
	echo "No Python >= 3.11 with venv was found; install one or name it: make PYTHON=/path/to/python" >&2; exit 1
endef
