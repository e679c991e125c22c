# Everything a contributor types. Each target sets up what it needs; a second run is quick.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PY := .venv/bin/python
STAMP := .venv/.synced

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

setup: $(STAMP)  ## make .venv with shardwright and its tools

$(STAMP): pyproject.toml locks/dev.txt scripts/bootstrap
	@scripts/bootstrap
	@touch $(STAMP)

static: $(STAMP)  ## format, lint, types, layers
	@.venv/bin/ruff format --check src tests scripts testbed benchmarks
	@.venv/bin/ruff check src tests scripts testbed benchmarks
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-logo

check: static  ## what every commit passes: static checks and the unit tests
	@$(PY) -m pytest tests/unit

test: static  ## all of it: properties at length, servers on loopback, the real engine on the CPU
	@HYPOTHESIS_PROFILE=thorough $(PY) -m pytest tests/unit
	@.venv/bin/shardwright engines install vllm aiperf
	@$(PY) -m pytest tests/integration
	@$(PY) -m pytest tests/rehearsal

SPEC ?= examples/llama-3.1-405b.yaml
rehearse: $(STAMP)  ## run a spec here with the real engine on the CPU; SPEC=file, ARGS=options
	@.venv/bin/shardwright rehearse $(SPEC) $(ARGS)

testbed:  ## bring up a real Kubernetes of two nodes on this machine (root, Debian, Go)
	@python3 -m testbed up

helm:  ## build the helm that tests of charts use from its Go module (minutes, once; needs Go)
	@python3 -c 'from testbed import components as c; print(c.ensure(c.HELM) / "helm")'

test-cluster: $(STAMP)  ## tests on a real API server: SHARDWRIGHT_TEST_KUBECONFIG, else the test bed
	@if [ -z "$${SHARDWRIGHT_TEST_KUBECONFIG:-}" ]; then \
	  python3 -m testbed up; \
	  export SHARDWRIGHT_TEST_KUBECONFIG="$$(python3 -m testbed kubeconfig)"; \
	fi; \
	$(PY) -m pytest tests/cluster

ON_BED = SHARDWRIGHT_TEST_KUBECONFIG="$$(python3 -m testbed kubeconfig)" $(PY) -m pytest tests/cluster

test-bed: $(STAMP)  ## what CI runs on Kubernetes: a bed of its own, the shorter cluster tests, the bed gone
	@SHARDWRIGHT_BED=required scripts/test-bed

test-all: test  ## everything, with the newest API server, the drill and 1,000 nodes: over an hour
	@trap 'python3 -m testbed down' EXIT; python3 -m testbed down; \
	python3 -m testbed up --with kuberay,lws,kwok; python3 -m testbed newest; $(ON_BED)

CALIBRATE := .venv-calibrate/bin/python
UV = $$(command -v uv || echo "$${XDG_CACHE_HOME:-$$HOME/.cache}/shardwright/tools/bin/uv")
$(CALIBRATE): pyproject.toml $(STAMP)
	@$(UV) venv --quiet --clear --python '>=3.11' .venv-calibrate
	@$(UV) pip install --quiet --python $(CALIBRATE) --editable . numba

calibrate: $(CALIBRATE)  ## refit the speed model from calibration/measurements
	@$(CALIBRATE) scripts/calibrate.py

cross-validate: $(CALIBRATE)  ## predict groups left out of the fit, rewrite docs/accuracy.md
	@$(CALIBRATE) scripts/calibrate.py --cross-validate

accuracy: cross-validate fit-memory  ## rewrite all error tables in the docs

PEER_VERSION := 0.12.0
PEER = $${XDG_CACHE_HOME:-$$HOME/.cache}/shardwright/peers/aiconfigurator-$(PEER_VERSION)
bench-planner: $(STAMP)  ## time the planner beside AIConfigurator, write docs/benchmarks.md
	@peer=$(PEER); if [ ! -x "$$peer/bin/aiconfigurator" ]; then \
	  uv="$$(command -v uv || echo "$${XDG_CACHE_HOME:-$$HOME/.cache}/shardwright/tools/bin/uv")"; \
	  "$$uv" venv --quiet --clear --python '>=3.11' "$$peer"; \
	  "$$uv" pip install --quiet --compile-bytecode --python "$$peer/bin/python" \
	    aiconfigurator==$(PEER_VERSION); \
	fi; \
	AICONFIGURATOR="$$peer/bin/aiconfigurator" $(PY) benchmarks/planner_speed.py

format: $(STAMP)  ## rewrite the code as ruff formats it
	@.venv/bin/ruff format src tests scripts testbed benchmarks
	@.venv/bin/ruff check --fix src tests scripts testbed benchmarks

docs: $(STAMP)  ## rewrite the pages that are generated from the code
	@for script in scripts/docs-*; do $(PY) $$script; done

CASES ?= tests/data/failures
doctor-score: $(STAMP)  ## score the doctor by family; CASES=folder of cases
	@$(PY) scripts/doctor-score $(CASES)

fit-memory: $(STAMP)  ## refit memory overheads from measured starts, rewrite docs/accuracy-memory.md
	@$(PY) benchmarks/fit_memory.py

BENCHMARKS := bench-planner bench-doctor bench-lint bench-render
bench: $(STAMP)  ## time the planner, the doctor, lint and render, write docs/benchmarks.md and docs/doctor.md
	@missed=; for each in $(BENCHMARKS); do $(MAKE) --no-print-directory $$each || missed+=" $$each"; done; \
	if [ -n "$$missed" ]; then echo "below what is asked, or failed:$$missed" >&2; exit 1; fi

bench-lint: $(STAMP)  ## objects linted per second, write docs/benchmarks.md
	@$(PY) benchmarks/lint_speed.py

bench-render: $(STAMP)  ## specs rendered per second, write docs/benchmarks.md
	@$(PY) benchmarks/render_speed.py

bench-scale: $(STAMP)  ## time list, status and preflight on 1,000 nodes that kwok acts out; docs/scale.md
	@$(PY) -m benchmarks.cluster_scale

bench-overhead: $(STAMP)  ## what `shardwright bench` adds to bare AIPerf, in paired runs
	@$(PY) benchmarks/bench_overhead.py

bench-doctor: $(STAMP)  ## time the doctor over 16 ranks x 200 MB of logs (needs 3.2 GB of disk), write docs/doctor.md
	@$(PY) benchmarks/doctor_logs.py --write

.PHONY: help helm setup docs rehearse static check test test-all test-bed testbed test-cluster format doctor-score bench bench-doctor bench-scale bench-overhead \
  bench-lint bench-render bench-planner calibrate cross-validate accuracy fit-memory
