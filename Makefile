# Everything a fresh machine needs besides Python 3.11+ and make is installed by these targets.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# what `make test` installs; `make test EXTRAS=test,test-torch` tests PyTorch too, which is large
EXTRAS ?= test

.PHONY: help demo test quick lint docs workers eval fuzz pins sbom release clean

help:  ## what there is to make
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "%-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.installed  ## classify a sample picture
	$(BIN)/wasmlrun classify samples/dog.jpg

test: lint  ## ruff, mypy --strict and the whole test suite
	$(BIN)/python -m pytest

# what tells the most in the least time: the rules, the command line, one guest of each kind
quick: lint  ## lint, and two minutes of tests
	$(BIN)/python -m pytest -x tests/test_*.py tests/commands tests/report tests/manifest \
		tests/vision tests/sandbox/test_worker.py tests/wasi_nn \
		--ignore tests/wasi_nn/test_foreign_guests.py --ignore tests/commands/test_models_command.py

lint: $(VENV)/.test-installed  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.docs-installed  ## the documentation as a site, in build/site
	$(BIN)/python docs/build.py build/docs
	$(BIN)/mkdocs build --strict --quiet --config-file build/docs/mkdocs.yml

workers: $(VENV)/.test-installed  ## rebuild the bundled workers from their sources
	$(BIN)/python -m ziglang cc --target=wasm32-wasi -Os -s -Wl,-z,stack-size=65536 \
		-o samples/mobilenet/mobilenet.wasm samples/mobilenet/mobilenet.c
	$(BIN)/python -m ziglang cc --target=wasm32-wasi -Os -s -Wl,-z,stack-size=65536 \
		-Isamples/mobilenet -o samples/infer/infer.wasm samples/infer/infer.c

eval: $(VENV)/.installed  ## accuracy of the default model, measured through wasmlrun
	$(BIN)/python models/evaluate.py

fuzz: $(VENV)/.test-installed  ## mutated models, pictures, manifests, guests for an hour
	$(BIN)/python tests/fuzz/run.py --seconds $(or $(SECONDS),3600) --seed $(or $(SEED),1)

pins: $(VENV)/.test-installed  ## what the tests are run with, in its newest versions
	$(BIN)/python -m pip install --quiet --editable '.[pins]'
	$(BIN)/python release/pins.py

release: $(VENV)/.test-installed  ## wheel, sdist and SBOM in dist, the same bytes whenever made
	rm -rf dist
	$(BIN)/python -m hatchling build
	$(BIN)/python -m twine check --strict dist/*.whl dist/*.tar.gz
	$(BIN)/check-wheel-contents dist/*.whl
	$(BIN)/python release/sbom.py dist

sbom: $(VENV)/.test-installed  ## what a wheel is made of and needs, as CycloneDX, in dist
	$(BIN)/python release/sbom.py dist

clean:  ## remove what was made
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache

$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

# pinned and hashed, where there are pins for this system
$(VENV)/.test-installed: pyproject.toml tests/models.txt release/install.py $(wildcard release/pins/*)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python release/install.py $(EXTRAS)
	touch $(VENV)/.installed $@

$(VENV)/.docs-installed: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@
