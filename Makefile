# `make help` lists the targets. Each one that needs the environment makes it first, once.

PYTHON ?=
SCALE ?= paper
SEEDS ?= 1
EXPERIMENT ?=
TESTS ?=
BENCH ?=
PORT ?= 5000

VENV := .venv

# Read from the catalog, without Python, which may not be there yet.
PAPERS := $(shell awk -F '"' '/^PAPERS = /, /^$$/ { for (i = 2; i < NF; i += 2) print $$i }' \
	repro/catalog.py)
REPRODUCE := $(PAPERS:%=reproduce-%)

.DEFAULT_GOAL := help
.PHONY: help setup quickstart reproduce test test-slow lint results bench ui $(REPRODUCE)

help:  ## this list
	@awk -F ':.*## ' '/^[a-zA-Z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile
	@echo "  make reproduce-PAPER  train and judge what a paper is known for; with"
	@echo "                        EXPERIMENT= SCALE= SEEDS= another run. PAPER is one of"
	@awk -F '"' '/^PAPER = /, /^\)/ { if ($$1 ~ /^ *name=$$/) name = $$2; \
		if ($$1 ~ /^ *title=$$/) printf "  %-12s %.65s\n", name, $$2 }' $(PAPERS:%=papers/%.py)

setup:  ## the environment in .venv; PYTHON= says of which Python
	@sh setup.sh "$(PYTHON)"

quickstart: setup  ## LeNet-5 on scikit-learn's digits: no download, a minute
	$(VENV)/bin/repro run lenet5-digits --scale paper

$(REPRODUCE): reproduce-%: setup
	$(VENV)/bin/repro run $(or $(EXPERIMENT),$*) --scale $(SCALE) --seeds $(SEEDS)

reproduce-%:
	@echo "error: $* is not a paper of the catalog; accepted: $(PAPERS);" \
		"an experiment of one: make reproduce-PAPER EXPERIMENT=..." >&2; exit 2

reproduce:
	@echo "error: which paper? $(REPRODUCE:%=make %,) or see: make help" >&2; exit 2

PYTEST = $(VENV)/bin/python -m pytest -q -n auto --maxprocesses 8 --dist loadfile

test: setup  ## the tests, less the slow ones; TESTS= any of all
	$(PYTEST) $(or $(TESTS),-m "not slow")

test-slow: setup  ## the slow tests: what every backend computes, killed runs
	$(PYTEST) -m slow

lint: setup  ## ruff, check and format
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

results: setup  ## results/ again, from the records of the runs
	$(VENV)/bin/repro results

bench: setup  ## speed beside Keras and PyTorch, 40 minutes; BENCH=--help
	$(VENV)/bin/python -P -m repro.bench $(BENCH)

ui: setup  ## MLflow's page on the runs, http://localhost:5000 (PORT=)
	@$(VENV)/bin/repro ui --port $(PORT)
