.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help install run test check faults soak gpu format clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

.venv/.installed: pyproject.toml
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

gpu: install ## All that needs an NVIDIA GPU: tests, tables with and without CUDA graphs, 10,000 steps timed twice
	$(BIN)/python -m pytest -m gpu
	$(BIN)/python -m dip.bench --sizes 512 --steps 100 --json bench-gpu.json
	$(BIN)/python -m dip.bench --sizes 512 --steps 100 --graph --rows 'ours fp32' 'ours tf32' 'ours bf16' 'run bf16' --json bench-gpu-graph.json
	$(BIN)/python -m dip.bench --overhead --sizes 512 --steps 100 --json bench-gpu-overhead.json
	for run in 1 2; do bash -c "time $(BIN)/python train.py precision=bf16 precision.graph=true keep_checkpoint=true baselines=false out=outputs/gpu-$$run"; done
	cmp outputs/gpu-1/*/losses.npy outputs/gpu-2/*/losses.npy && cmp outputs/gpu-1/*/images/restored.png outputs/gpu-2/*/images/restored.png

format: install ## Format the code and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove caches; runs and .venv stay
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +
	rm -rf build *.egg-info .mypy_cache .ruff_cache .pytest_cache
