# Two commands do everything: `make demo` and `make test`. Neither needs root or a system package.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# pip of the system installs into the environment, so python3-venv's ensurepip is not needed
PIP := $(PYTHON) -m pip --disable-pip-version-check --python $(BIN)/python install --quiet
TORCH := torch==2.13.0
OUT := out
ETSIM := $(BIN)/etsim
RECORDED := examples/recorded

.PHONY: demo test lint types imports unit wheel accuracy record docs clean

demo: $(VENV)/.runtime
	@mkdir -p $(OUT)
	@echo "== A small network trained on a CPU: convert, predict on an A100, draw"
	$(ETSIM) convert --et $(RECORDED)/mlp.et.json.gz --trace $(RECORDED)/mlp.trace.json.gz -o $(OUT)/mlp.et
	$(ETSIM) predict --et $(OUT)/mlp.et --hw source
	$(ETSIM) predict --et $(OUT)/mlp.et --hw examples/a100.yaml
	$(ETSIM) visualize --et $(OUT)/mlp.et -o $(OUT)/mlp.pdf
	@echo "== Four DDP ranks: convert all, predict together"
	$(ETSIM) convert --et '$(RECORDED)/ddp.et.*.json.gz' --trace '$(RECORDED)/ddp.trace.*.json.gz' -o $(OUT)/ddp.et
	$(ETSIM) predict --et '$(OUT)/ddp.*.et' --hw examples/a100.yaml
	@echo "== Done: the graph is in $(OUT)/mlp.pdf"

test: lint imports types unit wheel

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

imports: $(VENV)/.dev .links/etsim
	PYTHONPATH=.links $(BIN)/lint-imports --no-cache

types: $(VENV)/.dev .links/etsim
	$(BIN)/mypy -p etsim --exclude '(^|/)(tests|examples|benchmarks)/'
	$(BIN)/mypy tests examples benchmarks

unit: $(VENV)/.dev
	$(BIN)/pytest -n 2 --dist loadfile -q

wheel: $(VENV)/.dev
	sh .ci/check_wheel $(PYTHON) $(BIN)/python

$(VENV)/bin/python:
	$(PYTHON) -m venv --without-pip $(VENV)

$(VENV)/.runtime: $(VENV)/bin/python pyproject.toml
	$(PIP) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	$(PIP) $(TORCH)
	$(PIP) --editable '.[dev]'
	@touch $@

.links/etsim:
	@mkdir -p .links
	ln -sfn .. .links/etsim

# Judge the cost models again on the measured tables and traces beside the checkout.
accuracy: $(VENV)/.dev .links/etsim
	PYTHONPATH=.links $(BIN)/python -m etsim.benchmarks.accuracy.ledger

# Record the shipped examples anew: each several times, the least disturbed run is kept.
record: $(VENV)/.dev .links/etsim
	PYTHONPATH=.links $(BIN)/python examples/record.py $(RECORDED)

clean:
	rm -rf $(OUT) build dist *.egg-info

# Write the real output of every command shown into the README and the docs.
docs: $(VENV)/.dev .links/etsim
	$(BIN)/python tests/docs/console.py README.md docs/*.md
