# `make demo` and `make test` work from a fresh clone with Python, venv and make alone.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# PyTorch as pip spells it; `make TORCH="torch --index-url ..."` asks for another build.
TORCH ?= torch==2.13.0

# Waiting threads sleep: on a machine with other work, spinning ones slow everything tenfold.
export OMP_WAIT_POLICY ?= PASSIVE
# SST-2 from a folder beside the checkout where there is one, else from the hub.
export SNA_EVAL_SST2 ?= $(wildcard $(abspath ../shared/data/sst2))

.PHONY: coverage demo test test-slow test-versions test-lowest test-newest real-models test-real vllm test-vllm test-vllm-core test-app chromium test-docs docs reproduce lint install clean

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt hatch_build.py sna_eval.pth
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev,docs]"
	touch $@

# The bundled model, or `make demo MODEL=smollm2`: one that nobody here trained.
MODEL ?= sna-reference
demo: install
	$(BIN)/python scripts/demo.py --model $(MODEL) --output $(if $(filter sna-reference,$(MODEL)),out/demo,out/demo-$(MODEL))

# Two processes of one thread each are faster than one of two.
WORKERS ?= 2
# COVERAGE=yes measures lines and branches, also those that only commands in processes of their own
# reach: it takes longer, fails below 90 %, and names the files below that.
COVERAGE ?=
BELOW := awk '$$NF ~ /%$$/ && $$NF + 0 < 90 && $$1 != "TOTAL" {print $$1 ": " $$NF}'
test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(WORKERS) $(if $(COVERAGE),--cov --cov-report=)
	$(if $(COVERAGE),@$(BIN)/coverage report --fail-under=0 --skip-covered | $(BELOW))

test-slow: install
	$(BIN)/python -m pytest -m slow

# The default tests with the lowest and with the newest versions of what pyproject.toml asks for,
# each in a fresh environment. TORCH_LOWEST and TORCH_NEWEST ask for a build as TORCH does; ALSO
# puts one more package in last.
PYTHON_LOWEST ?= $(PYTHON)
PYTHON_NEWEST ?= $(PYTHON)
TORCH_LOWEST ?=
TORCH_NEWEST ?=
ALSO ?=
TRY := $(PYTHON) scripts/try_versions.py
test-versions: test-lowest test-newest

test-lowest:
	$(TRY) lowest --python $(PYTHON_LOWEST) --torch "$(TORCH_LOWEST)" --also "$(ALSO)" --workers $(WORKERS)

test-newest:
	$(TRY) newest --python $(PYTHON_NEWEST) --torch "$(TORCH_NEWEST)" --also "$(ALSO)" --workers $(WORKERS)

# What the last measured `make test` did not reach, line by line.
coverage: install
	$(BIN)/coverage report --skip-covered --show-missing

# Every command in README and docs that needs no network.
test-docs: install
	$(BIN)/python -m pytest -m docs tests/docs

docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# Two real language models into a cache outside the checkout (1.6 GB), and the tests on them.
real-models: install
	$(BIN)/python scripts/real_models.py

# `make test-real REAL=real` runs those that take minutes as well.
REAL ?= real and not slow
test-real: real-models
	$(BIN)/python -m pytest -m "$(REAL)" tests/real

# A real vLLM in an environment of its own, and the tests that serve one of the models with it;
# DOCUMENTS=200 compares as many of each task.
vllm: install
	$(BIN)/python scripts/vllm_environment.py .venv-vllm

DOCUMENTS ?= 24
VLLM_TESTS = SNA_EVAL_VLLM_DOCUMENTS=$(DOCUMENTS) SNA_EVAL_VLLM_PYTHON=$(CURDIR)/.venv-vllm/bin/python \
	$(BIN)/python -m pytest
test-vllm: vllm real-models
	$(VLLM_TESTS) -m vllm tests/vllm

test-vllm-core: DOCUMENTS = 12
test-vllm-core: vllm real-models
	$(VLLM_TESTS) -m "vllm and core" tests/vllm

# The app in a real browser; screenshots of every page go to out/app.
test-app: install chromium
	$(BIN)/python -m pytest -m app tests/app tests/reporting

chromium:
	@command -v chromium >/dev/null \
		|| { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install --yes -qq chromium >/dev/null; } \
		|| { echo "test-app needs Chromium: apt-get install chromium" >&2; exit 1; }

# The paper's protocol on the bundled model, small: `--grid full` takes minutes.
reproduce: install
	rm -rf out/reproduce
	$(BIN)/sna-eval reproduce --grid small --limit 8 --output out/reproduce

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/python scripts/import_circles.py sna_eval
	$(BIN)/mypy

clean:
	rm -rf $(VENV) .venv-lowest .venv-newest .venv-vllm out dist build .coverage .coverage.*
