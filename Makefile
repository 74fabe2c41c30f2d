# Two commands: `make demo` sets everything up and shows the main job, `make test` proves it.

PYTHON ?= python3
VENV := .venv
BENCH := .venv-bench
RUN := $(VENV)/bin/python -m

.PHONY: demo test lint bench setup clean

demo: $(VENV)/ready
	@$(VENV)/bin/jax-rnn compare ihello
	@echo
	@echo "More: source $(VENV)/bin/activate, then jax-rnn lessons, or jax-rnn --help"

test: $(VENV)/ready
	$(RUN) pytest -n 2

lint: $(VENV)/ready
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) pyright

bench: $(BENCH)/ready
	$(BENCH)/bin/python -m benchmarks $(BENCHMARKS)

setup: $(VENV)/ready

$(VENV)/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; ok = (3, 11) <= v <= (3, 13); \
	sys.exit(None if ok else "expected Python 3.11 to 3.13, got %d.%d; choose one with make PYTHON=python3.12" % v)'
	@echo "Setting up $(VENV); this takes a minute or two."
	@$(PYTHON) -m venv $(VENV)
	@$(RUN) pip install -qq --disable-pip-version-check --constraint constraints.txt --editable ".[torch,plot,tensorboard,dev]"
	@touch $@

$(BENCH)/ready: pyproject.toml constraints.txt benchmarks/requirements.txt
	@echo "Setting up $(BENCH) with torch, Flax, haiku, equinox and Keras; this takes a minute or two."
	@$(PYTHON) -m venv $(BENCH)
	@$(BENCH)/bin/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt \
	  --editable ".[torch,plot]" --requirement benchmarks/requirements.txt
	@touch $@

clean:
	rm -rf $(VENV) $(BENCH) .pytest_cache build *.egg-info
