# capsmith: `make quickstart` trains and captions, `make test` checks the code, `make docs` builds the documentation.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
JOBS   ?= 2
CODE   := src tests benchmarks tools docs
PIP    := $(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt

.PHONY: help install quickstart starter test lint unit test-jax test-slow docs bench format tables clean
.DEFAULT_GOAL := help

help:                ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}' | sed 's/:.*  / /'

$(BIN)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	touch $@

$(BIN)/.installed-dev: $(BIN)/.installed
	$(PIP) -e '.[dev,docs]'
	touch $@

install: $(BIN)/.installed  ## create .venv with capsmith

quickstart: $(BIN)/.installed  ## train on rendered scenes, evaluate, caption: minutes, no download
	-@if test -n "$(PHOTO)"; then $(BIN)/capsmith caption "$(PHOTO)"; \
	else echo "With PHOTO=holiday.jpg, quickstart also captions a photograph of yours, without any training."; fi
	$(BIN)/capsmith train --config quickstart.yaml --run runs/quickstart --resume
	$(BIN)/capsmith caption runs/quickstart data/scenes/images/test_0000[0-8].png --show runs/quickstart/captions.png
	@echo
	@echo "Look at  runs/quickstart/report/index.html   the held-out images, best and worst first"
	@echo "         runs/quickstart/captions.png        images with their captions"
	@echo "         runs/quickstart/history.png         loss and dev scores by epoch"
	@echo "Next     $(BIN)/capsmith train --config flickr8k.yaml --set data.root=/path/to/Flickr8k"

starter: $(BIN)/.installed  ## train the captioner that comes with capsmith: DATA=Flickr8k ENCODER=FILE, about 90 minutes
	$(PIP) -e '.[export]'
	CAPSMITH=$(BIN)/capsmith PYTHON=$(BIN)/python bash tools/train_starter.sh

test: lint docs unit  ## lint, types, docs and tests

lint: $(BIN)/.installed-dev  ## formatting, lint, types
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy

unit: $(BIN)/.installed-dev  ## the tests without the slow ones
	$(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile -m "not slow"

test-jax: $(BIN)/.installed-dev  ## the decoders and a small training on JAX
	$(PIP) jax
	KERAS_BACKEND=jax $(BIN)/capsmith train --smoke --config quickstart.yaml --run runs/jax
	KERAS_BACKEND=jax $(BIN)/capsmith caption runs/jax-smoke data/scenes/images/test_0000[0-2].png
	KERAS_BACKEND=jax $(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile -m "jax and not slow" tests/core tests/decoding tests/models tests/training tests/test_batch_invariance.py

test-slow: $(BIN)/.installed-dev  ## the long tests: slow tests, kills, bad input, fuzzing; for a nightly run
	$(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile -m slow
	$(BIN)/python -m benchmarks.kills
	$(BIN)/python -m benchmarks.bad_input
	@if $(BIN)/python -c "import atheris" 2>/dev/null; then $(BIN)/python -m benchmarks.fuzz --seconds 30; \
	else echo "fuzzing skipped: pip install atheris"; fi

docs: $(BIN)/.installed-dev  ## build the documentation into docs/_build/html
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html
	cp docs/_build/html/README.html docs/_build/html/index.html

bench: $(BIN)/.installed-dev  ## measure speed against alternatives; BENCH="decoding latency" for some parts
	$(BIN)/python -m benchmarks.speed $(BENCH)

format: $(BIN)/.installed-dev  ## format the code
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

tables: $(BIN)/.installed  ## write generated files: tables from results/summary.json, the configuration reference, plain schemas
	$(BIN)/python -m tools.tables
	$(BIN)/python -m tools.config_reference
	$(BIN)/python -m tools.plain_schemas

clean:               ## remove the environment, runs, caches and rendered images
	rm -rf $(VENV) runs cache data/scenes docs/_build .mypy_cache .ruff_cache .pytest_cache
