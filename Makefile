.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help install run test check faults soak format tables clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

.venv/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@

install: .venv/.installed ## Make .venv and install everything into it

run: install ## Restore the sample photograph, in minutes on a laptop
	$(BIN)/python train.py experiment=quick

test: install ## Run the whole test suite
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses=auto --dist=loadfile -m 'not slow'

check: install ## Lint, format, types and tests, as CI does
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses=auto --dist=loadfile -m 'not slow'

faults: install ## Kill, damage and starve runs in every way that has a test; minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.faults.index --numprocesses=auto --dist=loadfile

MINUTES ?= 60
soak: install ## Random runs under random faults for an hour (MINUTES=60)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.faults.soak --minutes $(MINUTES)

format: install ## Format the code and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

tables: install ## Write the result tables anew from sweeps/results
	$(BIN)/python -m dip.report --tables README.md $(wildcard sweeps/results/*/README.md)

clean: ## Remove caches; runs and .venv stay
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +
	rm -rf build *.egg-info .mypy_cache .ruff_cache .pytest_cache
