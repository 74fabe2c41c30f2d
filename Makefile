# `make demo` sets everything up and runs the main job; `make test` runs the tests.
#   make demo TORCH=cpu          PyTorch without CUDA, from PyTorch's own package index
#   make test PYTHON=python3.13  another Python, in an environment of its own

PYTHON ?= python3
TORCH ?= default
ifeq ($(PYTHON),python3)
VENV := .venv
else
VENV := .venv-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
endif
BENCH := .venv-bench
AOT := .venv-aot
LOWEST := .venv-lowest
ORACLES := .venv-oracles
DOCS := .venv-docs
RUN := $(VENV)/bin/python -m
INSTALL := $(PYTHON) tools/install.py --torch $(TORCH)
NEEDS := pyproject.toml requirements.lock tools/install.py

.PHONY: demo setup test test-all test-lowest test-oracles coverage lint lock bench bench-compiled bench-gpu bench-tpu docs docs-serve test-docs clean

demo: $(VENV)/.demo
	@$(VENV)/bin/jax-rnn compare ihello
	@echo
	@echo "More: source $(VENV)/bin/activate, then jax-rnn --help"

setup: $(VENV)/.demo

test: $(VENV)/.test
	$(RUN) pytest -n 2 -m "not long" --durations=20

test-all: $(VENV)/.test
	$(RUN) pytest -n 2 --durations=20 $(if $(wildcard $(DOCS)/.docs),--ignore=tests/site)
	$(if $(wildcard $(DOCS)/.docs),@$(MAKE) test-docs)

test-lowest: $(LOWEST)/.test
	$(LOWEST)/bin/python -m pytest -n 2 -m "not long"

test-oracles: $(ORACLES)/.test
	$(ORACLES)/bin/python -m pytest -n 2 tests/oracles

coverage: $(VENV)/.test
	$(RUN) pytest -n 2 -m "not long" --cov --cov-report=term

lint: $(VENV)/.lint
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) pyright

lock:
	uv pip compile --quiet --universal --upgrade --python-version 3.11 --no-annotate \
	  --custom-compile-command "make lock" --all-extras --output-file requirements.lock \
	  pyproject.toml benchmarks/requirements.txt

bench: $(BENCH)/.bench
	$(BENCH)/bin/python -m benchmarks $(BENCHMARKS)

bench-compiled: $(AOT)/.aot
	$(AOT)/bin/python -m benchmarks.compiled --for h100 v5e v6e $(BENCHMARKS)

bench-gpu: .venv-gpu/.bench
	.venv-gpu/bin/python -m benchmarks --device gpu $(BENCHMARKS)

bench-tpu: .venv-tpu/.bench
	.venv-tpu/bin/python -m benchmarks --device tpu $(BENCHMARKS)

docs: $(DOCS)/.docs
	$(DOCS)/bin/sphinx-build -W --keep-going -q -d build/doctrees docs build/site
	@echo "The site is in build/site/index.html"

docs-serve: $(DOCS)/.docs
	$(DOCS)/bin/sphinx-autobuild --watch jax_rnn --watch reference_torch --watch rnn_lecture \
	  --re-ignore __pycache__ --port 8000 -d build/doctrees docs build/site

test-docs: docs
	$(DOCS)/bin/python -m pytest -n 2 tests/site

$(VENV)/.demo: $(NEEDS)
	@$(INSTALL) $(VENV) torch
	@touch $@

$(VENV)/.test: $(NEEDS)
	@$(INSTALL) $(VENV) test
	@touch $@ $(VENV)/.demo

$(VENV)/.lint: $(NEEDS)
	@$(INSTALL) $(VENV) lint
	@touch $@ $(VENV)/.test $(VENV)/.demo

$(LOWEST)/.test: $(NEEDS)
	@$(INSTALL) $(LOWEST) test --lowest
	@touch $@

$(ORACLES)/.test: $(NEEDS) tests/oracles/requirements.txt
	@$(INSTALL) $(ORACLES) test --unlocked --requirement tests/oracles/requirements.txt
	@touch $@

$(BENCH)/.bench: $(NEEDS) benchmarks/requirements.txt
	@$(INSTALL) $(BENCH) torch plot --requirement benchmarks/requirements.txt
	@touch $@

.venv-gpu/.bench .venv-tpu/.bench: .venv-%/.bench: $(NEEDS) benchmarks/requirements.txt benchmarks/requirements-%.txt
	@$(INSTALL) .venv-$* test --requirement benchmarks/requirements-$*.txt
	@touch $@

$(AOT)/.aot: $(NEEDS) benchmarks/requirements.txt benchmarks/requirements-compiled.txt
	@$(INSTALL) $(AOT) --requirement benchmarks/requirements-compiled.txt
	@touch $@

$(DOCS)/.docs: $(NEEDS) docs/requirements.txt
	@$(INSTALL) $(DOCS) test --requirement docs/requirements.txt
	@touch $@

clean:
	rm -rf .venv .venv-* .pytest_cache build *.egg-info
