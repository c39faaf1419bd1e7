# What a person types. Each target sets up what it needs; `make` alone lists them.
CONFIG ?= config.yaml
CORES ?= all
RESULTS ?= results/published
RUN ?= results/published/lift_object
MINUTES ?= 60
VENV ?= .venv
export VENV
export PATH := $(abspath $(VENV))/bin:$(PATH)
# One process more than cores, for tests also wait; at most four.
PYTEST = python -m pytest --numprocesses $$(n=$$(nproc); echo $$((n < 4 ? n + 1 : 4))) --dist loadfile \
	--no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup setup-analysis setup-run run benchmark demo play test test-workflow test-containers test-slurm test-trainers test-isaaclab figures report watch tensorboard check \
	format docs torture bench coverage oracles lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

setup: ## make .venv with everything, also what tests and checks need
	@envs/setup.sh full

setup-run: ## make .venv with what training, evaluation and figures need
	@envs/setup.sh run

setup-analysis: ## make .venv with what tables and figures need
	@envs/setup.sh analysis

run: setup-run ## train, evaluate and report what CONFIG says (config.yaml)
	@python -m manyseeds forecast $(CONFIG) --cores $(CORES)
	snakemake --cores $(CORES) --configfile $(CONFIG)

benchmark: setup-run ## train all tasks of a benchmark, experiments/benchmark.yaml or CONFIG, and say over all which variant helps
	snakemake --snakefile workflow/benchmark.smk --cores $(CORES) \
		--configfile $(if $(filter file,$(origin CONFIG)),experiments/benchmark.yaml,$(CONFIG))

demo: ## three seeds of a cart and a pole, from nothing to tables, figures and a film, in minutes
	@echo "demo: installing packages into $(VENV) where they are missing (1 to 2 min), then training and figures (1 to 2 min)"
	@$(MAKE) --no-print-directory run CONFIG=experiments/demo.yaml

play: ## play a policy of RUN in a browser (results/published/lift_object)
	@envs/setup.sh run play
	@python -m manyseeds play $(RUN)

test: setup ## run the tests, but for those of whole workflows
	$(PYTEST) --ignore tests/workflow

test-workflow: setup ## run whole workflows: repeated, disturbed, raced, on stand-ins for clusters
	$(PYTEST) tests/workflow

test-containers: setup ## build the container images and run the workflow in them
	@.ci/containers

test-slurm: setup ## start a small Slurm on this machine and run the workflow on it
	@.ci/slurm

test-trainers: setup ## run the workflow with stock Isaac Lab and mjlab (3 GB, kept in ~/.cache)
	@.ci/trainers

test-isaaclab: setup ## install a small Isaac Lab and test the simulator isaaclab with it
	@.ci/isaaclab

figures: setup-analysis ## draw tables and figures again from RESULTS (results/published)
	snakemake figures --cores $(CORES) --config results=$(RESULTS)

report: setup-analysis ## write Snakemake's report of CONFIG to report.html: all files, rules and jobs
	snakemake --cores $(CORES) --configfile $(CONFIG) --report report.html

watch: setup-run ## show a line per run while runs are going
	@python -m manyseeds status

tensorboard: setup-run ## open TensorBoard over all runs
	tensorboard --logdir results

check: setup ## check format, style, types and that modules import from lower floors only
	ruff format --check .
	ruff check .
	mypy
	lint-imports
	snakefmt --check Snakefile workflow
	@# Without the option no rule has an environment, which is another lint.
	snakemake --lint --use-conda

format: setup ## bring all code into the project's format
	ruff format .
	ruff check --fix .
	python -m manyseeds config --schema > workflow/schemas/config.schema.json
	snakefmt Snakefile workflow

docs: setup ## write the documentation as a site to build/docs, strictly: every link must lead somewhere
	@cmp -s envs/docs.lock $(VENV)/docs/installed || { python -m venv --clear $(VENV)/docs && \
		$(VENV)/docs/bin/pip install -q -r envs/docs.lock && cp envs/docs.lock $(VENV)/docs/installed; }
	python docs/site/pages.py build/pages
	NO_MKDOCS_2_WARNING=1 $(VENV)/docs/bin/mkdocs build --quiet
	@echo "open build/docs/index.html"

torture: setup ## disturb trainings and workflows for MINUTES (60), compare bytes, renew the result in docs/trust.md
	python tests/helpers/torture.py --minutes $(MINUTES) --write docs/trust.md

bench: setup ## measure speed
	@for script in benchmarks/[a-z]*.py; do echo "$$script"; python "$$script" || exit 1; done

coverage: setup-analysis ## simulate how often the intervals cover; writes docs/coverage.md (minutes)
	python tests/oracles/coverage.py docs/coverage.md

oracles: setup ## compare the statistics with rliable, in an environment of its own; renews tests/oracles/rliable.txt
	@[ -e $(VENV)/oracles/installed ] || { python -m venv --clear $(VENV)/oracles && \
		$(VENV)/oracles/bin/pip install -q -r tests/oracles/requirements-rliable.txt && touch $(VENV)/oracles/installed; }
	PYTHONPATH=src $(VENV)/oracles/bin/python tests/oracles/rliable_oracle.py tests/oracles/rliable.txt

lock: setup ## pin the newest versions of all packages in envs/requirements.lock, and make the other environments' of it
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --fork-strategy fewest --all-extras \
		--no-annotate --custom-compile-command "make lock" --output-file envs/requirements.lock pyproject.toml
	@# Versions of requirements.lock are taken wherever Isaac Lab allows them.
	cp envs/requirements.lock envs/isaaclab.lock
	uv pip compile --quiet --python-version 3.12 --python-platform x86_64-manylinux_2_39 --extra workflow \
		--no-annotate --custom-compile-command "make lock" --output-file envs/isaaclab.lock pyproject.toml envs/isaaclab.in
	grep -v '^torch==' envs/isaaclab.lock > envs/isaaclab_cpu.lock
	grep '^torch==' envs/requirements.lock >> envs/isaaclab_cpu.lock
	uv pip compile --quiet --python-version 3.11 --python-platform x86_64-manylinux_2_39 \
		--no-annotate --custom-compile-command "make lock" --output-file envs/isaaclab_cpu.lock envs/isaaclab_cpu.in
	uv pip compile --quiet --upgrade --universal --python-version 3.11 \
		--no-annotate --custom-compile-command "make lock" --output-file envs/docs.lock envs/docs.in
	envs/conda.sh

clean: ## remove the environment and caches; results stay
	rm -rf $(VENV) build .snakemake .pytest_cache .hypothesis .mypy_cache .ruff_cache
