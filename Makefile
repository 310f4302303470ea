PYTHON ?= python3
VENV := .venv
COMPUTE := .venv-compute
AZURITE := requirements/azurite/node_modules
BIN := $(VENV)/bin
LOCK := --quiet --universal --python-version 3.11 --no-emit-index-url --custom-compile-command "make lock"
# Most tests wait for processes, so a few files at a time run side by side.
PYTEST := python -m pytest -n 3 --dist loadfile
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/pip install --quiet

.PHONY: help demo up install test test-azurite check format bench azurite lock clean

help:  ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: install  ## Show a model's whole way to production, in about two minutes
	@$(BIN)/python -m examples.demo

up: install  ## Start the same and keep it running; Ctrl-C ends it
	@$(BIN)/python -m localcloud up

test: install  ## Run all tests
	@$(BIN)/$(PYTEST)
	@cd localcloud && ../$(BIN)/$(PYTEST)

test-azurite: install azurite  ## Run the tests of the store on Azure Tables (needs Node)
	@$(BIN)/$(PYTEST) tests/contract tests/e2e/test_on_tables.py

check: install  ## Run what CI runs: linters, types, layers, and all tests
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@cd localcloud && ../$(BIN)/mypy && ../$(BIN)/lint-imports
	@$(BIN)/$(PYTEST)
	@cd localcloud && ../$(BIN)/$(PYTEST)

format: install  ## Put the code into its form
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: install  ## Measure, side by side with bare SDKs, and print each figure with its target
	@$(BIN)/python -m benchmarks

install: $(VENV)/.installed $(COMPUTE)/.installed $(BIN)/mlpromote  ## Install into .venv and .venv-compute

$(VENV)/.installed: requirements.txt $(wildcard requirements/*.txt)
	@echo "Installing the app, the local cloud and the tools into $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) -r requirements.txt -r requirements/local.txt -r requirements/test.txt -c requirements/constraints.txt
	@$(PIP) --no-deps --ignore-requires-python -r requirements/host.txt
	@touch $@

# The command line and the local cloud, from their folders: what is edited there takes effect at once.
$(BIN)/mlpromote: $(VENV)/.installed pyproject.toml localcloud/pyproject.toml
	@$(PIP) --no-deps --no-build-isolation --editable . --editable ./localcloud
	@touch $@

# A virtual environment of its own: the scoring server pins versions that the app's SDKs do not share.
$(COMPUTE)/.installed: requirements/compute.txt
	@echo "Installing what jobs and deployments run in into $(COMPUTE) ..."
	@$(PYTHON) -m venv $(COMPUTE)
	@PIP_DISABLE_PIP_VERSION_CHECK=1 $(COMPUTE)/bin/pip install --quiet -r requirements/compute.txt
	@touch $@

azurite: $(AZURITE)/.installed  ## Install Microsoft's emulator of Azure Storage, for tests and benchmarks (needs Node)

$(AZURITE)/.installed: requirements/azurite/package-lock.json
	@echo "Installing Azurite into $(AZURITE) ..."
	@npm ci --prefix requirements/azurite --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

lock:  ## Write the pinned versions anew (needs uv)
	@grep -v '^-c' requirements.txt | uv pip compile $(LOCK) - requirements/local.txt requirements/test.txt -o requirements/constraints.txt
	@uv pip compile $(LOCK) requirements/compute.in -o requirements/compute.txt

# Without a virtual environment, no local cloud can be using the folder.
clean:  ## Remove the local cloud's state, while none is running
	@if [ -f $(VENV)/.installed ]; then $(BIN)/python -m localcloud clean; else rm -rf .local; fi
