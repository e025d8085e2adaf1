# `make help` lists the targets. Each one that needs the environment makes it first, once.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
SCALE ?= paper
SEEDS ?= 1
TESTS ?=
BENCH ?=
PORT ?= 5000

VENV := .venv
READY := $(VENV)/.ready

PAPERS := lenet5 alexnet nin vgg googlenet resnet densenet

.DEFAULT_GOAL := help
.PHONY: help setup quickstart test lint results bench ui $(addprefix reproduce-,$(PAPERS))

help:  ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' Makefile
	@echo "  Of reproduce-..., EXPERIMENT= SCALE= SEEDS= choose another run."

setup: $(READY)  ## the environment, in .venv, from requirements.lock

# setuptools and wheel are in the lock, so that building the package fetches nothing more.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
		|| { echo "error: Python 3.11 is needed, $(PYTHON) is another; say make PYTHON=..." >&2; exit 2; }
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
		--no-build-isolation --no-deps --editable .
	@touch $@

quickstart: $(READY)  ## LeNet-5 on scikit-learn's digits: no data to download, a minute
	$(VENV)/bin/repro run lenet5-digits --scale paper

reproduce-lenet5: $(READY)  ## LeNet-5 on MNIST as in 1998
	$(VENV)/bin/repro run $(or $(EXPERIMENT),lenet5-mnist) --scale $(SCALE) --seeds $(SEEDS)

reproduce-alexnet: $(READY)  ## AlexNet's small network on CIFAR-10 as in 2012
	$(VENV)/bin/repro run $(or $(EXPERIMENT),alexnet-local-cifar10) --scale $(SCALE) --seeds $(SEEDS)

reproduce-nin: $(READY)  ## NiN on CIFAR-10 as in 2013
	$(VENV)/bin/repro run $(or $(EXPERIMENT),nin-cifar10) --scale $(SCALE) --seeds $(SEEDS)

reproduce-vgg: $(READY)  ## VGG-D on ImageNet as in 2014; EXPERIMENT=vgg-a-imagenette runs without it
	$(VENV)/bin/repro run $(or $(EXPERIMENT),vgg-d-imagenet) --scale $(SCALE) --seeds $(SEEDS)

reproduce-googlenet: $(READY)  ## GoogLeNet on ImageNet as in 2014; EXPERIMENT=googlenet-imagenette runs without it
	$(VENV)/bin/repro run $(or $(EXPERIMENT),googlenet-imagenet) --scale $(SCALE) --seeds $(SEEDS)

reproduce-resnet: $(READY)  ## ResNet-20 on CIFAR-10 as in 2015
	$(VENV)/bin/repro run $(or $(EXPERIMENT),resnet20-cifar10) --scale $(SCALE) --seeds $(SEEDS)

reproduce-densenet: $(READY)  ## DenseNet-40 on CIFAR-10 as in 2016
	$(VENV)/bin/repro run $(or $(EXPERIMENT),densenet40-k12-cifar10) --scale $(SCALE) --seeds $(SEEDS)

test: $(READY)  ## all tests (TESTS= chooses some); those on real data need TFDS_DATA_DIR
	$(VENV)/bin/python -m pytest -q $(TESTS)

lint: $(READY)  ## ruff, check and format
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

results: $(READY)  ## results/ again, from the records of the runs
	$(VENV)/bin/repro results

bench: $(READY)  ## ResNet-20's training speed beside plain Keras and PyTorch, twenty minutes; BENCH=--help
	$(VENV)/bin/python -m repro.bench $(BENCH)

ui: $(READY)  ## MLflow's web page on the logged runs, http://localhost:5000 (PORT=)
	@case "$${MLFLOW_TRACKING_URI:-}" in \
	http://*|https://*) \
		echo "the runs are on a server, which has its own page; open MLFLOW_TRACKING_URI:" ; \
		echo "$$MLFLOW_TRACKING_URI" | sed 's,//[^/@]*@,//,' ;; \
	*) \
		exec $(VENV)/bin/mlflow ui --port $(PORT) \
			--backend-store-uri "$${MLFLOW_TRACKING_URI:-sqlite:///mlflow.db}" ;; \
	esac
