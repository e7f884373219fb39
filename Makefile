# Every target works on a fresh machine with Rust and any CPython from 3.10 on.
#
#   PYTHON=…  the interpreter (default: the first of python3, python3.15 … python3.10 that is new enough)
#   VENV=…    the environment (default: .venv)
#   ARGS=…    handed to the demo, to pytest, to the benchmarks

VERSIONS := 3.15 3.14 3.13 3.12 3.11 3.10
ifndef PYTHON
PYTHON := $(shell for python in python3 $(VERSIONS:%=python%); do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo "$$python" && break; done)
endif
ifeq ($(strip $(PYTHON)),)
$(error no CPython from 3.10 on was found; install one, or name it with PYTHON=/path/to/python3)
endif

VENV ?= .venv
PY := $(abspath $(VENV))/bin/python
PIP := $(PY) -m pip --quiet --disable-pip-version-check
PYTEST := $(abspath $(VENV))/bin/pytest
SOURCES := Cargo.toml $(wildcard Cargo.lock) pyproject.toml $(shell find crates python -type f \
	\( -name '*.rs' -o -name '*.toml' -o -name '*.py' -o -name '*.pyi' -o -name 'py.typed' \))
# cargo, clippy and the wheel agree on one interpreter, or pyo3 would be rebuilt at every turn.
export PYO3_PYTHON := $(PY)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help wheel demo docs test test-rust test-python pytest pytest-quick stress conformance conformance-here bench bench-here \
	lint ci test-versions free-threaded clean FORCE

help: ## show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# ---------------------------------------------------------------------------------------- environment and wheel
# Stamps live in the environment that they describe, so that removing it removes them.

$(VENV)/.created: FORCE
	@$(PYTHON) tools/environment.py $(VENV)

$(VENV)/.maturin: $(VENV)/.created
	$(PIP) install 'maturin>=1.16,<2'
	@touch $@

# A wheel does not say where it was built: neither its panics nor its line tables name a folder of this machine.
CARGO_FOLDER := $(abspath $(or $(CARGO_HOME),$(HOME)/.cargo))
ANYWHERE := RUSTFLAGS="$(RUSTFLAGS) --remap-path-prefix=$(CURDIR)=raddle --remap-path-prefix=$(CARGO_FOLDER)=cargo"

$(VENV)/.wheel: $(VENV)/.maturin $(SOURCES)
	rm -rf $(VENV)/wheel
	$(ANYWHERE) $(PY) -m maturin build --release --quiet --interpreter $(PY) --out $(VENV)/wheel
	$(PIP) install --force-reinstall --no-deps $(VENV)/wheel/*.whl
	$(PIP) install $(VENV)/wheel/*.whl
	@touch $@

# $(VENV)/.extra-NAME: the wheel is installed, and so is what its extra NAME asks for.
$(VENV)/.extra-%: pyproject.toml | $(VENV)/.wheel
	$(PIP) install "$$(echo $(VENV)/wheel/*.whl)[$*]"
	@touch $@

wheel: $(VENV)/.wheel ## build the release wheel and install it into the environment

# $(call on_each,WHICH,TARGET): make TARGET with each of the interpreters, in an environment of its own.
define on_each
for python in $$($(PY) tools/interpreters.py $(1)); do \
	name=$$("$$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	echo "== $(2) on Python $$name"; \
	$(MAKE) --no-print-directory $(2) PYTHON="$$python" VENV="build/venv-$$name" || exit 1; \
done
endef

# ---------------------------------------------------------------------------------------------------- for users

demo: $(VENV)/.wheel $(VENV)/.extra-demo ## build, install and run the demo on the standard library's sources
	$(PY) examples/demo $(ARGS)

docs: $(VENV)/.wheel $(VENV)/.extra-docs ## build the documentation into build/docs and target/doc, warnings are errors
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps -p raddle-sys -p raddle-sync -p raddle-task -p raddle-pool -p raddle-process
	$(PY) -m sphinx --fail-on-warning --nitpicky --keep-going --quiet -b html docs build/docs

# -------------------------------------------------------------------------------------------------------- tests

test: test-rust test-python ## pass every test: Rust, loom models, Python in three modes

test-rust: $(VENV)/.created ## cargo tests, doctests and loom models
	cargo test --workspace --features raddle-process/faults
	RUSTFLAGS='--cfg loom' CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true \
		cargo test --release --lib --target-dir target/loom -p raddle-sync -p raddle-task -p raddle-pool -p raddle-process

pytest: $(VENV)/.wheel $(VENV)/.extra-test ## the Python tests once, against the installed wheel
	$(PY) $(PYTEST) tests $(PARALLEL) $(ARGS)

# Two at a time: most tests wait for something most of the time. (ARGS='-n 0' for a debugger.)
PARALLEL := --numprocesses 2
SHORT := -m 'not slow' --quiet
THREADED := tests/python/futures tests/python/queue tests/python/threading
test-python: pytest ## the Python tests, then shorter with two settings that bring races and misuse to light
	RADDLE_SWITCH_INTERVAL=1e-6 $(PY) $(PYTEST) $(THREADED) $(SHORT)
	$(PY) -X dev $(PYTEST) $(THREADED) $(SHORT)

# Ten million random operations on the primitives, once in Rust alone and once through Python.
stress: $(VENV)/.wheel $(VENV)/.extra-test ## the stress suites for longer (RADDLE_STRESS_SECONDS, RADDLE_STRESS_OPERATIONS)
	cargo test --release -p raddle-sync --test stress
	RADDLE_STRESS_SECONDS=$${RADDLE_STRESS_SECONDS:-120} RADDLE_STRESS_OPERATIONS=$${RADDLE_STRESS_OPERATIONS:-10000000} \
		$(PY) $(PYTEST) tests/stress --timeout 0 $(ARGS)

conformance: conformance-here ## the interpreter's own suites against Raddle, on every CPython found
	@$(call on_each,all --others,conformance-here)

conformance-here: $(VENV)/.wheel $(VENV)/.extra-test
	$(PY) -m tests.conformance $(ARGS)

bench: bench-here ## the figures that the README claims, on every CPython found, and the Rust parts by themselves
	@$(call on_each,all --others,bench-here)
	cargo bench --workspace --bench '*'
	$(PY) -m benches.table
	$(PY) -m benches.plot

bench-here: $(VENV)/.wheel $(VENV)/.extra-bench $(VENV)/.extra-bench-processes
	$(PY) -m benches $(ARGS)

lint: $(VENV)/.wheel $(VENV)/.extra-lint ## formatting, clippy, ruff, mypy, stubtest, layers, file sizes
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -m mypy.stubtest raddle._raddle
	$(PY) tools/check_layers.py
	$(PY) tools/check_sizes.py
	$(PY) -m benches.table --check
	$(PY) -m benches.plot --check

# ----------------------------------------------------------------------------------------------------------- CI

ci: lint test docs test-versions free-threaded ## what .ci/run calls

test-versions: $(VENV)/.created ## the quick tests of futures, threads and the interpreter's own of pools, on the oldest and the newest CPython found
	@$(call on_each,ends --others,pytest-quick)

pytest-quick: $(VENV)/.wheel $(VENV)/.extra-test
	$(PY) $(PYTEST) $(THREADED) $(SHORT) $(PARALLEL)
	$(PY) $(PYTEST) tests/conformance/test_conformance.py -k process_pool --quiet

free-threaded: $(VENV)/.maturin ## compile the cp314t wheel (compiled only: it has never run without the GIL)
	rm -rf build/free-threaded
	$(ANYWHERE) $(PY) -m maturin build --quiet --interpreter python3.14t --out build/free-threaded
	@ls build/free-threaded/*-cp314-cp314t-*.whl

clean: ## remove everything that these targets made
	rm -rf .venv build target .mypy_cache .pytest_cache .ruff_cache .hypothesis
