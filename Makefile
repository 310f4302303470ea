# An interpreter by name or path; by default scripts/make_venv.sh finds one.
PYTHON ?=
VENV := .venv
COMPUTE := .venv-compute
# Of the benchmark of steps: what it is compared with.
PEER := .venv-peer
AZURITE := requirements/azurite/node_modules
BIN := $(VENV)/bin
COMPILE := uv pip compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
LOCK := $(COMPILE) --universal --python-version 3.11
# For `make chaos`, which by default draws a random seed and prints it.
KILLS ?= 1000
# For `make mutants`, which draws a seed like `make chaos`.
SAMPLE ?= 150
SEED ?=
# Of `make package`: anything includes the libraries, for a package that is run from an address.
LIBRARIES ?=
# Most tests wait for processes, so run a few files in parallel: three keep two processors busy for 70 % of the time.
PYTEST := python -m pytest -n 4 --dist loadfile
# Only wheels, and only locked ones: building one would install packages that no lock names.
PIP_INSTALL := -m pip --disable-pip-version-check install --quiet
LOCKED := $(PIP_INSTALL) --require-hashes --only-binary :all:

# Tests start hundreds of processes. Each compiles our code anew where the shell forbids Python to keep the result.
test test-azurite test-later chaos mutants check: export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo demo-pipeline up install test test-azurite test-later chaos mutants check format bench package azurite lock clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: install  ## Watch a model reach production, in under three minutes
	@$(BIN)/python -m examples.demo

demo-pipeline: install  ## Watch a training pipeline reach production, in under three minutes
	@$(BIN)/python -m examples.demo pipeline

up: install  ## Start the demo's local cloud and keep it running; Ctrl-C ends it (CLOUD=examples/teams/localcloud.yml)
	@$(BIN)/python -m localcloud up $(if $(CLOUD),--config $(CLOUD))

test: install  ## Run all tests
	@$(BIN)/$(PYTEST)
	@cd localcloud && ../$(BIN)/$(PYTEST)

test-azurite: install azurite  ## Run the tests of the store on Azure Tables (needs Node)
	@$(BIN)/$(PYTEST) tests/contract tests/e2e/test_on_tables.py

test-later: install  ## Run all tests with the clock a day, a month and two years ahead (needs a C compiler)
	@for days in 1 31 731; do \
		echo "With the clock $$days days ahead:"; \
		scripts/with_clock_ahead.sh $$days $(BIN)/$(PYTEST) --basetemp "$${TMPDIR:-/tmp}/test-later" || exit 1; \
	done

chaos: install  ## Kill parts of a local cloud 1,000 times at random, and check that all guarantees hold (KILLS=N, SEED=N)
	@$(BIN)/python -m tests.chaos --kills $(KILLS) $(if $(SEED),--seed $(SEED))

mutants: install  ## Inject 150 random faults into core and workers, and check that the tests notice (SAMPLE=N, SEED=N)
	@$(BIN)/python -m tests.mutants --sample $(SAMPLE) $(if $(SEED),--seed $(SEED))

check: install  ## Run what CI runs: linters, types, layers, and all tests
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@cd localcloud && ../$(BIN)/mypy && ../$(BIN)/lint-imports
	@$(BIN)/$(PYTEST)
	@cd localcloud && ../$(BIN)/$(PYTEST)

format: install  ## Format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: install $(PEER)/.installed  ## Run the benchmarks and print each figure with its target
	@$(BIN)/python -m benchmarks

package: $(VENV)/.installed  ## Build the app as a release, without any configuration: .package and .package.zip
	@LIBRARIES=$(LIBRARIES) $(BIN)/python -m scripts.make_package

install: $(VENV)/.installed $(COMPUTE)/.installed $(BIN)/mlpromote  ## Install into .venv and .venv-compute

$(VENV)/.installed: requirements.txt requirements/tools.txt requirements/host.txt
	@scripts/make_venv.sh $(VENV) $(if $(PYTHON),"$(PYTHON)")
	@echo "Installing the app, the local cloud and the tools into $(VENV) ..."
	@$(BIN)/python $(LOCKED) -r requirements.txt -r requirements/tools.txt
	@$(BIN)/python $(LOCKED) --no-deps --ignore-requires-python -r requirements/host.txt
	@touch $@

# The command line and the local cloud are installed from their folders, so edits take effect at once.
$(BIN)/mlpromote: $(VENV)/.installed pyproject.toml localcloud/pyproject.toml
	@$(BIN)/python $(PIP_INSTALL) --no-deps --no-build-isolation --editable . --editable ./localcloud
	@touch $@

# A separate virtual environment: the scoring server pins other versions than the app's SDKs.
$(COMPUTE)/.installed: requirements/compute.txt
	@scripts/make_venv.sh $(COMPUTE) $(if $(PYTHON),"$(PYTHON)")
	@echo "Installing what jobs and deployments run in into $(COMPUTE) ..."
	@$(COMPUTE)/bin/python $(LOCKED) -r requirements/compute.txt
	@touch $@

$(PEER)/.installed: requirements/dbos.txt
	@scripts/make_venv.sh $(PEER) $(if $(PYTHON),"$(PYTHON)")
	@echo "Installing what steps are compared with into $(PEER) ..."
	@$(PEER)/bin/python $(LOCKED) -r requirements/dbos.txt
	@touch $@

azurite: $(AZURITE)/.installed  ## Install Microsoft's emulator of Azure Storage, for tests and benchmarks (needs Node)

$(AZURITE)/.installed: requirements/azurite/package-lock.json
	@echo "Installing Azurite into $(AZURITE) ..."
	@npm ci --prefix requirements/azurite --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

# The tools are installed on top of the app, so they use its versions. Everything that the app needs is in its own list.
lock:  ## Write the locks with versions and hashes (needs uv)
	@$(LOCK) requirements/app.in -o requirements.txt
	@$(LOCK) -c requirements.txt requirements/local.in requirements/test.in -o requirements/tools.txt
	@$(COMPILE) --no-deps --python-version 3.13 requirements/host.in -o requirements/host.txt
	@$(LOCK) requirements/compute.in -o requirements/compute.txt
	@$(LOCK) requirements/dbos.in -o requirements/dbos.txt

# Without a virtual environment, no local cloud can be using the folder.
clean:  ## Remove the local cloud's state, while none is running
	@if [ -f $(VENV)/.installed ]; then $(BIN)/python -m localcloud clean; else rm -rf .local; fi
