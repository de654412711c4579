# capsmith: make quickstart trains and captions, make test checks the code, make tables writes the README's tables.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
JOBS   ?= 2

.PHONY: help install quickstart test test-jax bench format tables clean
.DEFAULT_GOAL := help

help:                ## show what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(BIN)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(BIN)/.installed-dev: $(BIN)/.installed
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

install: $(BIN)/.installed  ## make .venv with capsmith in it

quickstart: $(BIN)/.installed  ## train on the rendered scenes, evaluate, caption: minutes, no download
	$(BIN)/capsmith train --config quickstart.yaml --run runs/quickstart --resume
	$(BIN)/capsmith caption runs/quickstart data/scenes/images/test_0000[0-8].png --show runs/quickstart/captions.png
	@echo
	@echo "Look at  runs/quickstart/report/index.html   the held-out images, best and worst first"
	@echo "         runs/quickstart/captions.png        images with their captions"
	@echo "         runs/quickstart/history.png         how it learned"
	@echo "Next     $(BIN)/capsmith train --config flickr8k.yaml --set data.root=/where/Flickr8k/is"

test: $(BIN)/.installed-dev  ## lint, types and tests
	$(BIN)/ruff format --check src tests benchmarks tools
	$(BIN)/ruff check src tests benchmarks tools
	$(BIN)/mypy
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "not slow"

test-jax: $(BIN)/.installed-dev  ## the decoders and the toy training on JAX
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt jax
	KERAS_BACKEND=jax $(BIN)/capsmith train --smoke --config quickstart.yaml --run runs/jax
	KERAS_BACKEND=jax $(BIN)/capsmith caption runs/jax-smoke data/scenes/images/test_0000[0-2].png
	KERAS_BACKEND=jax $(BIN)/python -m pytest -q -m "not slow" -k "whole_sentence or find_the_same or every_decoder or learns or stepper or learner or held_out_images or depend_on_the_batch" tests/models/decoders tests/core/test_compilation.py tests/decoding/test_compiled.py tests/training/test_encoder_adaptation.py tests/test_batch_invariance.py

bench: $(BIN)/.installed-dev  ## measure speed beside the usual ways; BENCH="decoding latency" for some parts
	$(BIN)/python -m benchmarks.speed $(BENCH)

format: $(BIN)/.installed-dev  ## format the code
	$(BIN)/ruff format src tests benchmarks tools
	$(BIN)/ruff check --fix src tests benchmarks tools

tables: $(BIN)/.installed  ## write the README's tables from results/summary.json
	$(BIN)/python -m tools.tables

clean:               ## remove the environment, runs, caches and drawn images
	rm -rf $(VENV) runs cache data/scenes .mypy_cache .ruff_cache .pytest_cache
