# `make serve` and `make test` need Python 3.11, 3.12 or 3.13 with pip and venv (on Debian: python3-venv), and make.
PYTHON ?= python3
HOST = 127.0.0.1
PORT = 3000
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
# Compiled once here: with PYTHONDONTWRITEBYTECODE, as many images set it, every process would compile its imports.
export UV_COMPILE_BYTECODE := 1
ENGINE ?= $(firstword $(foreach name,podman docker buildah,$(if $(shell command -v $(name)),$(name))))
MUTANTS := .cache/mutants
# uv is the build backend of this project too, so that its installation downloads nothing more.
INSTALL_PROJECT = $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --upgrade --custom-compile-command "make lock" pyproject.toml

.PHONY: help install serve train image test lint check mutants bench lock clean

help: ## say what each target does
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "make: $(PYTHON) is missing, or not Python 3.11, 3.12 or 3.13: run make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2> /dev/null \
	  || { echo "make: $(PYTHON) can't make $(VENV): install its venv module, on Debian the package python3-venv"; exit 1; }
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(VENV)/serving: requirements.txt pyproject.toml | $(BIN)/uv
	@echo "installing requirements.txt"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.txt
	@$(INSTALL_PROJECT)
	@touch $@

$(VENV)/testing: requirements-dev.txt pyproject.toml | $(BIN)/uv
	@echo "installing requirements-dev.txt"
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements-dev.txt
	@$(INSTALL_PROJECT)
	@touch $@ $(VENV)/serving

install: $(VENV)/testing ## make .venv with all that tests and checks need, and with the command loop

train: $(VENV)/serving ## train every model without a version in the model store
	@$(BIN)/loop train --missing

serve: $(VENV)/serving ## train what is missing, then serve on 127.0.0.1:3000
	@$(BIN)/loop train --missing || test $$? -eq 1  # a model that can't be trained does not stop the others
	@exec $(BIN)/loop serve --host $(HOST) --port $(PORT)

image: train ## build the container image localhost/prediction of the champions, by ENGINE: podman, docker or buildah
	@test -n "$(ENGINE)" || { echo "make: no podman, docker or buildah is here: install one of them"; exit 1; }
	@echo "building the Bento"
	@$(BIN)/bentoml build --output tag
	@echo "building the image with $(ENGINE)"
	@$(BIN)/bentoml containerize prediction:latest --backend $(ENGINE) -t localhost/prediction:latest

test: $(VENV)/testing ## run every test that pip alone can bring
	@$(BIN)/python -m pytest

lint: $(VENV)/testing ## ruff, mypy, import-linter and codespell
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/codespell

check: lint ## all that must pass before a commit: lint, and every test with its coverage
	@$(BIN)/python -m pytest --cov --cov-report=term

mutants: $(VENV)/testing ## change chosen modules one small thing at a time, and list the changes that no test notices
	@rm -rf $(MUTANTS) && mkdir -p $(MUTANTS)
	@cp -r pyproject.toml prediction models_store tests $(MUTANTS)
	@cd $(MUTANTS) && $(abspath $(BIN))/mutmut run $(if $(ONLY),'$(ONLY)')
	@cd $(MUTANTS) && $(abspath $(BIN))/mutmut results | grep -v 'not checked' || true

bench: $(VENV)/testing ## measure against the peers, and write benchmarks/results/
	@$(BIN)/python -m benchmarks
	@$(BIN)/python -m benchmarks.estimators
	@$(BIN)/python -m benchmarks.compiling
	@$(BIN)/python -m benchmarks.tensors
	@$(BIN)/python -m benchmarks.scoring
	@$(BIN)/python -m benchmarks.files
	@$(BIN)/python -m benchmarks.loop
	@$(BIN)/python -m benchmarks.monitoring
	@$(BIN)/python -m benchmarks.soak
	@$(BIN)/python -m benchmarks.chaos

lock: $(BIN)/uv ## pin the dependencies of pyproject.toml anew
	@$(LOCK) -o requirements.txt
	@$(LOCK) --constraint requirements.txt --group dev -o requirements-dev.txt

clean: ## remove the environment and all caches; versions and journal stay in BENTOML_HOME
	@rm -rf $(VENV) .cache .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
