# `make train` and `make test` need nothing but Python. Each installs a lock file (with hashes) into .venv, and
# again only when that lock file has changed.
PYTHON ?= python3
BIN := .venv/bin
TASK ?= cardiac_levels
MODELS ?= saved_models
MRI_SHARED ?= ../shared
export MRI_SHARED
# Hides TensorFlow's notices; what fails raises an exception.
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: train test test-fast test-all bench lint lock clean demo-serve

train: .venv/.runtime
	$(BIN)/python -m mri_tf.train --task $(TASK)

test: .venv/.test
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

# Tests of code that does not start TensorFlow. Those of phantoms and study reports take too long to be here.
FAST = tests/calibration tests/core tests/data_prep/io tests/figures tests/metrics tests/splits/test_split.py \
	tests/study/test_design.py tests/study/test_jobs.py tests/tables tests/task tests/test_arrows.py
test-fast: .venv/.test
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" $(FAST)

test-all: .venv/.test
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# Prints the tables of docs/performance.md that need no data. PEERS is a Python with torch and monai, to
# compare with: make bench PEERS=/path/to/python.
PEERS ?=
COMPARED = $(if $(PEERS),--peers-python $(PEERS))
bench: .venv/.test
	$(BIN)/python benchmarks/steps.py $(COMPARED) $(if $(PEERS),--compiled --monai)
	$(BIN)/python benchmarks/augment2d.py
	$(if $(PEERS),$(BIN)/python benchmarks/augment3d.py $(COMPARED))
	$(BIN)/python benchmarks/pooled_features.py
	$(BIN)/python benchmarks/whole_study.py --rounds 1
	$(BIN)/python benchmarks/serving.py

# Serves the model of `make train`, asks it once for the level of an empty slice, and stops the server.
DEMO = http://127.0.0.1:18501/v1/models/cardiac_levels
demo-serve: .venv/.test
	test -d $(MODELS)/cardiac_levels || $(BIN)/python -m mri_tf.train --task cardiac_levels
	$(BIN)/python -m mri_tf.serve --models $(MODELS) --rest-port 18501 --grpc-port 18500 & \
	  server=$$!; trap 'kill $$server 2>/dev/null; wait $$server' EXIT; \
	  until curl -sf $(DEMO); do kill -0 $$server || exit 1; sleep 0.5; done; \
	  $(BIN)/python -c 'print({"instances": [[[[-1000]] * 128] * 128]})' | tr "'" '"' | \
	  curl -sSf -d @- $(DEMO):predict

lint: .venv/.test
	$(BIN)/ruff check .

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("mri_tf needs Python 3.11 to 3.13. Received: %d.%d. Pass another: make PYTHON=python3.12 ..." % sys.version_info[:2] if not (3, 11) <= sys.version_info[:2] < (3, 14) else 0)'
	$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

.venv/.runtime: .venv/bin/python requirements.lock setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

# The test lock file contains the runtime lock file, with the same versions.
.venv/.test: .venv/bin/python requirements-test.lock setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-test.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@ .venv/.runtime

# Needs uv (pip install uv). Writes one lock file per use, each for Python 3.11 to 3.13.
LOCK = uv pip compile setup.cfg requirements-build.in --universal --python-version 3.11 \
	--generate-hashes --no-annotate --no-header --quiet
lock:
	$(LOCK) --extra test -o requirements-test.lock
	$(LOCK) --constraint requirements-test.lock -o requirements.lock
	$(LOCK) --constraint requirements-test.lock --extra gpu -o requirements-gpu.lock
	$(LOCK) --constraint requirements-test.lock --extra serve -o requirements-serve.lock

clean:
	rm -rf .venv build *.egg-info
