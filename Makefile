# One command each: `make` installs everything into .venv; `make demo`, `make test` do their own set-up.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# A file's tests share what they build, so a file stays in one process.
PYTEST := -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile
INSTALLED := $(VENV)/.installed

CORE := tests/soulchatcorpus tests/metrics tests/hub_cards tests/soulchat_trainer

.PHONY: install demo benchmark-demo bench test test-bare test-slow coverage test-lowest test-highest style quality docs package audit clean

install: $(INSTALLED)

$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[all,dev,docs]"
	touch $@

demo: $(INSTALLED)
	$(BIN)/soulchat train demo

benchmark-demo: $(INSTALLED)
	test -f outputs/demo/results.json || $(MAKE) demo
	$(BIN)/soulchat benchmark run --model untrained:outputs/demo --model outputs/demo --model retrieval \
		--samples 100 --seed 42 --max-new-tokens 160 --output outputs/benchmark-demo

bench: $(INSTALLED)
	$(BIN)/python benchmarks/bench.py

test: $(INSTALLED)
	$(BIN)/python $(PYTEST)

# Without browser, compiler and fonts, in a folder with spaces and Chinese characters, in a poor environment.
test-bare: $(INSTALLED)
	rm -rf "build/bare 中文" && mkdir -p "build/bare 中文"
	git ls-files -z | xargs -0 cp --parents --target-directory "build/bare 中文"
	cd "build/bare 中文" && git init --quiet && git add --all && PYTHONPATH="$$PWD:$$PWD/metrics" SOULCHAT_BARE=1 \
		HOME=/proc/no-home LC_ALL=C "$(CURDIR)/$(BIN)/python" $(PYTEST)
	rm -rf "build/bare 中文"

# One after the other: each takes all cores, and several processes of one test meet at a port.
test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -m slow

coverage: $(INSTALLED)
	$(BIN)/python $(PYTEST) --cov --cov-report=term

# Both ends of the bounds in setup.cfg, each in a virtual environment of its own; torch stays the same.
test-lowest: .venv-lowest/.installed
	.venv-lowest/bin/python $(PYTEST) $(CORE) -m "not slow and not browser"

.venv-lowest/.installed: setup.cfg pyproject.toml constraints-lowest.txt
	test -x .venv-lowest/bin/python || $(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --constraint constraints-lowest.txt --editable ".[all,test]"
	touch $@

test-highest: .venv-highest/.installed
	.venv-highest/bin/python $(PYTEST) $(CORE) -m "not slow and not browser"

.venv-highest/.installed: setup.cfg pyproject.toml
	test -x .venv-highest/bin/python || $(PYTHON) -m venv .venv-highest
	.venv-highest/bin/python -m pip install --quiet --upgrade --upgrade-strategy eager torch==2.13.0 --editable ".[all,test]"
	touch $@

style: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

quality: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(INSTALLED)
	$(BIN)/mkdocs build --strict

package: $(INSTALLED)
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*

audit: $(INSTALLED)
	$(BIN)/pip-audit --strict --requirement constraints.txt --no-deps --disable-pip

clean:
	rm -rf $(VENV) .venv-lowest .venv-highest .venv-peers build dist *.egg-info outputs site
