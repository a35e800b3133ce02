# One command each: `make` installs everything into .venv; `make demo`, `make test` do their own set-up.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: install demo benchmark-demo test test-slow style quality docs package clean

install: $(INSTALLED)

$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[all,dev,docs]"
	touch $@

demo: $(INSTALLED)
	$(BIN)/accelerate launch train.py demo

benchmark-demo: $(INSTALLED)
	test -f outputs/demo/results.json || $(MAKE) demo
	$(BIN)/soulchat benchmark run --model untrained:outputs/demo --model outputs/demo --model retrieval \
		--max-new-tokens 120 --output outputs/benchmark-demo

test: $(INSTALLED)
	$(BIN)/python -m pytest

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -m slow

style: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

quality: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

docs: $(INSTALLED)
	$(BIN)/mkdocs build --strict

package: $(INSTALLED)
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*

clean:
	rm -rf $(VENV) build dist *.egg-info outputs site
