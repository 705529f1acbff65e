# Everything sets itself up: `make demo` and `make test` need Python 3.11 or later, and nothing else.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
BIN := $(VENV)/bin

.PHONY: demo test check lint types gpu-check wheel lock clean

demo: $(READY)  ## a 200-trial study of digits: depth, residual connections and the CE/MSE mix
	$(BIN)/archloss launch examples/digits.toml

test: $(READY)  ## all tests, the files shared out over two processes
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

check: lint types test  ## what continuous integration runs

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy -p archloss

gpu-check:  ## every check that needs an accelerator; needs torch, numpy, scikit-learn, pandas, pytest
	$(PYTHON) -m pytest -m gpu tests/spaces

wheel: $(READY)
	$(BIN)/python -m build --outdir dist

lock: $(READY)  ## pin the newest versions; torch stays as pinned here
	$(BIN)/pip install --quiet uv
	echo 'torch==2.13.0' > $(VENV)/torch.txt
	$(BIN)/uv pip compile --universal --python-version 3.11 --all-extras --no-header --no-annotate \
		--upgrade -c $(VENV)/torch.txt pyproject.toml | grep -v -E '^(nvidia-|cuda-|triton|archloss)' > constraints.txt

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@
