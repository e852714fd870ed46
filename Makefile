# Everything installs what it needs into .venv; a stamp in .make says what is there, so that running again is quick.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo setup quick test test-engines test-lab test-images fuzz check check-types check-rest bench schemas docs pictures clean

PYTHON ?= python3
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
STAMPS := .make
# Not --quiet, which keeps --strict from seeing warnings; what it says is shown where it fails.
MKDOCS := NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
INPUTS := pyproject.toml constraints.txt
# A file's tests share kernels and models. In the order of their names: the last are unit tests, whose files are short,
# so that no process waits long for another at the end.
SIDE_BY_SIDE = -n $(JOBS) --dist loadfile --no-loadscope-reorder
# Instructions that every x86-64 machine of the last ten years has; on real hardware leave them out (docs/guide/models.md).
LLAMA_CPP_CMAKE_ARGS ?= -DGGML_NATIVE=OFF -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_BMI2=ON
# Only what tests use: two minutes in place of ten.
LLAMA_CPP_CMAKE_ARGS += -DLLAVA_BUILD=OFF -DCMAKE_PROJECT_llama.cpp_INCLUDE=$(CURDIR)/tests/support/llama_cpp_alone.cmake

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(STAMPS)/venv:
	@mkdir -p $(STAMPS)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@touch $@

$(STAMPS)/base: $(STAMPS)/venv $(INPUTS)
	@echo "installing llmspell into $(VENV) …"
	@$(PIP) install -c constraints.txt -e .
	@touch $@

$(STAMPS)/dev: $(STAMPS)/base
	@echo "installing the development tools into $(VENV) …"
	@$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@

$(STAMPS)/engines: $(STAMPS)/dev
	@echo "installing PyTorch and llama-cpp-python (built from source the first time: two minutes on two cores) …"
	@CMAKE_ARGS="$(LLAMA_CPP_CMAKE_ARGS)" $(PIP) install -c constraints.txt -e '.[torch,llama-cpp-python]'
	@touch $@

$(STAMPS)/lab: $(STAMPS)/dev
	@echo "installing JupyterLab and Playwright into $(VENV) …"
	@$(PIP) install -c constraints.txt -e '.[lab]'
	@touch $@

demo: $(STAMPS)/base ## install, pull a small real model, start a kernel, let a script talk to it, stop it
	@PATH="$(CURDIR)/$(BIN):$$PATH" examples/demo.sh

setup: $(STAMPS)/dev ## everything that a developer needs

quick: $(STAMPS)/dev ## the unit tests, none of which starts a process (a minute or two)
	@$(BIN)/python -m pytest -q -m "not engines" $(SIDE_BY_SIDE) tests/unit $(ARGS)

test: $(STAMPS)/dev ## all tests but those that need engines which are extras, in JOBS processes (2)
	@$(BIN)/python -m pytest -m "not engines and not images" $(SIDE_BY_SIDE) $(ARGS)

# The first test trains the small T5 that all of them share; beside other work that takes minutes.
test-engines: $(STAMPS)/engines ## the tests that need PyTorch or llama-cpp-python
	@$(BIN)/python -m pytest -m engines --timeout 900 $(SIDE_BY_SIDE) $(ARGS)

test-lab: $(STAMPS)/lab ## the tests that drive JupyterLab in a browser (needs Chromium: apt-get install chromium)
	@$(BIN)/python -m pytest tests/browser $(ARGS)

# Root, mmdebstrap and bubblewrap, Debian's mirror and the package index; five minutes, and 2 GB of temporary files.
test-images: $(STAMPS)/dev ## build the image's root file system from its Dockerfile, and start a kernel in it
	@$(BIN)/python -m pytest -m images tests/images $(ARGS)

fuzz: $(STAMPS)/dev ## generated wrong input, a minute a topic, from a printed seed (ARGS="--seconds 600 --seed 7 --only requests")
	@$(BIN)/python -m tests.fuzz $(ARGS)

check: $(STAMPS)/dev ## format, lint, types, import contracts, lengths of files, images, drift of what is generated, the site's links
	@$(MAKE) --no-print-directory -j $(JOBS) check-types check-rest

check-types:
	@$(BIN)/mypy

check-rest:
	@$(BIN)/ruff format --check -q .
	@$(BIN)/ruff check -q .
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m tests.file_lengths
	@$(BIN)/python protocol/generate_schemas.py --check
	@$(BIN)/python -m generate.tools --check
	@$(BIN)/python profiles/generate_reference.py --check
	@$(BIN)/python -m generate.capabilities --check
	@$(BIN)/python -m generate.actions --check
	@$(BIN)/python -m generate.catalog --check
	@$(BIN)/python -m generate.sections --check
	@$(BIN)/python -m generate.python_client --check
	@$(BIN)/python -m generate.python_package --check
	@$(BIN)/python -m generate.synchronous_client --check
	@$(BIN)/python -m generate.defaults --check
	@$(BIN)/python -m generate.lua_reference --check
	@$(BIN)/hadolint docker/Dockerfile docker/cuda.Dockerfile
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec docker/compose.yaml docker/compose.cuda.yaml
	@said=$$($(MKDOCS) --site-dir $(STAMPS)/site 2>&1) || { echo "$$said" >&2; exit 1; }

schemas: $(STAMPS)/dev ## generate what is written from the code again: JSON Schemas, tables, references
	@$(BIN)/python -m generate.tools
	@$(BIN)/python protocol/generate_schemas.py
	@$(BIN)/python profiles/generate_reference.py
	@$(BIN)/python -m generate.capabilities
	@$(BIN)/python -m generate.actions
	@$(BIN)/python -m generate.catalog
	@$(BIN)/python -m generate.sections
	@$(BIN)/python -m generate.synchronous_client
	@$(BIN)/python -m generate.python_client
	@$(BIN)/python -m generate.python_package
	@$(BIN)/python -m generate.defaults
	@$(BIN)/python -m generate.lua_reference

docs: $(STAMPS)/dev ## build the documentation's site: site/index.html
	@$(MKDOCS)

bench: $(STAMPS)/dev ## measure (on a quiet machine); writes benchmarks/results/
	@$(BIN)/python -m benchmarks $(ARGS)

pictures: $(STAMPS)/lab ## take the documentation's pictures of terminal and JupyterLab again (needs tmux and Chromium)
	@$(BIN)/python docs/pictures/record.py
	@$(BIN)/python -m docs.pictures.record_lab

clean: ## remove what was installed, built, and what the demo left
	@rm -rf $(VENV) $(STAMPS) .demo site
