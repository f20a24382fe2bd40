# Everything a fresh machine needs is Python 3.11+ and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test check bench docs clean

demo: $(STAMP)
	$(BIN)/geoae demo

# Everything, the slow ones too; `make test SELECT="not slow"` for the quick round. One process for
# each core, so each computes on one thread.
SELECT ?= not gpu or gpu
WORKERS ?= logical
test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "$(SELECT)" -n $(WORKERS) --maxprocesses 8 --dist worksteal

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Speed and memory as ratios against floors measured in the same run.
bench: $(STAMP)
	$(BIN)/python -m tests.benchmarks.run

# The site, into build/site. Its pictures show a real scene from PyPI, and are made again when code or model change.
PICTURES := build/pictures/evaluation/figures.png
docs: $(STAMP) $(PICTURES)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

$(PICTURES): $(shell find src models -name '*.py' -o -name '*.safetensors') | $(STAMP)
	$(BIN)/geoae demo --out build/pictures/demo
	$(BIN)/geoae evaluate --scenes build/pictures/demo/scene.tif --sigmas 5,10,20,40 -o build/pictures/evaluation

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "geoae needs Python 3.11 or newer; run make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) geoae-demo build dist
