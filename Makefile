# `make demo` and `make test` do all the set-up that a fresh machine needs.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
PIP := $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check
READY := $(VENV)/.ready
# Each of them collects five thousand tests; what they leave of two cores while they wait for wires and processes, scenes take.
WORKERS ?= 2
JOBS ?= 2
# Where the environment forbids Python to keep what it compiles, each of the hundred processes of a test run would compile its hundreds of modules anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test setup programs compiled lint scenes unit format lock bench screenshots mutation campaign forgeries deliveries approvals api-fuzz power-cuts disk-faults bake train evaluate card clean

demo: $(READY)
	@$(BIN)/station demo $(ARGS)

# The checks of the text, the scenes and the other tests beside each other.
test: $(READY)
	@$(MAKE) --no-print-directory --jobs 3 lint scenes unit

setup: $(READY)

# Exactly the locked packages, and this project itself where it lies. uv takes seconds; pip, which may know other places to find packages, a minute.
$(READY): requirements/dev.lock requirements/uv.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11, 4))' \
	  || { echo "$(PYTHON) is older than Python 3.11.4, in which a lane can die at a timeout. Name another one: make PYTHON=python3.13 $(MAKECMDGOALS)"; exit 1; }
	@echo "Python packages: installing what requirements/dev.lock says into $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || (.ci/programs python3-venv && $(PYTHON) -m venv --clear $(VENV))
	@$(PIP) install --require-hashes -r requirements/uv.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.lock \
	  || $(PIP) install --require-hashes -r requirements/dev.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# A browser for the browser tests, a foreign Modbus master, a compiler for the tests of faulty disks; tests that need one say so where it cannot
# be had.
programs: $(READY)
	@.ci/programs chromium mbpoll gcc libc6-dev

# Once, before many processes begin at the same moment and each compiles the same modules; what is wrong with a module its own run says.
compiled: $(READY)
	@$(BIN)/pytest --collect-only -q > /dev/null 2>&1 || true

lint: $(READY)
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(IDLE) $(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

# Scenes on virtual time do not mind when their turn comes: they take what the tests against real time leave of the processor, and give it back at
# once, where the system knows that class of turns.
SCENES := tests/faults
IDLE := $(shell chrt --idle 0 true 2> /dev/null && echo chrt --idle 0 || echo nice -n 19)

scenes: compiled
	@mkdir -p build
	@$(IDLE) $(BIN)/pytest -n 2 --dist worksteal -q -o timeout=1800 $(SCENES) > build/scenes.txt 2>&1; \
	  code=$$?; cat build/scenes.txt; exit $$code

# Whole stations, and drivers against devices in real time, come last and two at a time: no watchdog and no deadline waits for a busy processor.
REAL_TIME := tests/e2e tests/browser/test_station_live.py $(wildcard tests/wire/test_drivers_*.py) $(wildcard tests/contract/test_drivers_*.py)

# Every line and branch of the decisions, by tests of their own: what another part's test happens to run nobody has said what it must do.
DECISIONS := tests/unit/domain

# In the order of the files: xdist's own order would give one worker the three longest of them.
unit: programs compiled
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal -q $(DECISIONS) --cov=station.domain --cov-branch --cov-fail-under=100 \
	  --cov-report=term-missing:skip-covered
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal -q $(addprefix --ignore=,$(SCENES) $(DECISIONS) $(REAL_TIME))
	@$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -q $(REAL_TIME)

format: $(READY)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# Versions and hashes of everything that is installed.
lock: $(READY)
	$(BIN)/uv pip compile --quiet --upgrade pyproject.toml --extra dev --generate-hashes --no-header --no-emit-index-url \
	  --universal --python-version 3.11.4 -o requirements/dev.lock
	@grep -o '^uv==[^ ]*' requirements/dev.lock | $(BIN)/uv pip compile --quiet --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url -o requirements/uv.lock -

# About 25 minutes on a machine that does nothing else; writes docs/reference/benchmarks.md.
bench: $(READY)
	@$(BIN)/python -m benchmarks --write docs/reference/benchmarks.md

# The pictures of the console in the documentation, from a real demo (about a minute).
screenshots: $(READY)
	@$(BIN)/python -m tests.browser.screenshots

# Which changes of the gate, the clearance and the dose no test notices: docs/reference/mutation.md.
mutation: $(READY)
	@$(BIN)/mutmut run
	@$(BIN)/mutmut results

# 200 simulated lane-hours with mishaps (about three hours on two cores; docs/reference/campaign.jsonl keeps what was run), then 50 kills at random moments (about twenty minutes).
campaign: $(READY)
	@$(BIN)/python -m tests.campaign --hours 1 --seeds 1..200 --jobs $(JOBS) --state docs/reference/campaign.jsonl
	@$(BIN)/python -m tests.e2e.kill_campaign --kills 50

# Every forgery at every place of an audit log of 10 000 events, and 1 000 bits of its file turned (some minutes of one core).
forgeries: $(READY)
	@$(BIN)/python -m tests.campaign.forgeries

# 100 000 events of two sites to one receiver that fails in every way and is killed 200 times between effect and receipt.
deliveries: $(READY)
	@$(BIN)/python -m tests.campaign.deliveries

# 1 000 races of approvals for pieces that take two people: nobody counts twice (some minutes).
approvals: $(READY)
	@$(BIN)/python -m tests.campaign.approvals

# The whole HTTP interface under requests drawn from its own description, at least 200 for each operation (some minutes).
api-fuzz: $(READY)
	@$(BIN)/python -m tests.campaign.api_fuzz $(ARGS)

# 2 000 power cuts at random moments of a station's work, and the product without a safeguard, which must lose something (some minutes).
power-cuts: $(READY)
	@.ci/programs gcc libc6-dev
	@$(BIN)/python -m tests.campaign.power_cuts --cuts 2000 --seed 1 --jobs $(JOBS)

# Each of the first calls to the disk fails, with ENOSPC and with EIO, once and for a while (about an hour); goes on with ARGS="--from N".
disk-faults: $(READY)
	@.ci/programs gcc libc6-dev
	@$(BIN)/python -m tests.campaign.disk_faults $(ARGS)

# The simulated tube's spectra and attenuations, after a change of its materials.
bake: $(READY)
	@$(BIN)/python -m firmware_sims.bake_beam

# A new model from nothing, in an environment of its own: about three hours on two quiet cores, two of them training (docs/reference/training.md).
# Stopped, it goes on with ARGS=--resume.
train: $(READY)
	@test -x .venv-train/bin/python || $(PYTHON) -m venv .venv-train
	@.venv-train/bin/python -m pip --quiet --disable-pip-version-check install -r training/requirements.txt
	@.venv-train/bin/python -m training.train --out station/screening/models $(ARGS)

# How good the model is on unseen mail (about a quarter of an hour of one core); with CORPUS=DIR, which holds manifest.csv, also on labelled pictures, and with
# PAIRS=CSV on pairs. Figures go to build/evaluation, from which `make card` writes docs/reference/model.md.
evaluate: $(READY)
	@$(BIN)/python -m training.evaluate mail --jobs $(JOBS) $(ARGS)
	@test -z "$(CORPUS)" || $(BIN)/station model evaluate --manifest $(CORPUS)/manifest.csv --images $(CORPUS) --jobs $(JOBS) \
	  --json build/evaluation/pictures.json
	@test -z "$(PAIRS)" || $(BIN)/station model evaluate --pairs $(PAIRS) --jobs $(JOBS) --json build/evaluation/pairs.json
	@$(BIN)/python -m training.evaluate ablate --jobs $(JOBS) --per-kind 40 $(if $(CORPUS),--manifest $(CORPUS)/manifest.csv) $(if $(PAIRS),--pairs $(PAIRS))
	@$(BIN)/python -m training.evaluate coverage --jobs $(JOBS) $(ARGS)

card: $(READY)
	@$(BIN)/python -m training.card

clean:
	rm -rf $(VENV) .venv-train .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache mutants
