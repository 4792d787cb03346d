.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help install run test check faults soak gpu format clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

.venv/.installed: pyproject.toml
	@echo 'installing PyTorch and the project into .venv: about 0.7 GB to download and 2.7 GB on disk, more with CUDA'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@

install: .venv/.installed ## Make .venv and install the project and its test tools

run: install ## Restore the sample image; minutes on a laptop
	$(BIN)/python train.py experiment=quick

test: install ## Run the test suite
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses=auto --dist=loadfile -m 'not slow'

check: install ## Run the linter, the type checker and the tests, as CI does
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses=auto --dist=loadfile -m 'not slow'

faults: install ## Run all tests of faults: kills, damaged files, full disks; minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m fault --numprocesses=auto --dist=loadfile

MINUTES ?= 60
soak: install ## Random runs under random faults for an hour (MINUTES=60)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.faults.soak --minutes $(MINUTES)

gpu: install ## All that needs an NVIDIA GPU, in ten minutes: tests, tables, the report's runs; results in outputs/gpu
	$(BIN)/python -m dip.bench.gpu

format: install ## Format the code and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove caches; runs and .venv stay
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +
	rm -rf build *.egg-info .mypy_cache .ruff_cache .pytest_cache
