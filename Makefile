# make run     make the environment, then the study of CONFIG: report and laws     (CONFIG=config.yaml)
# make plan    what CONFIG would cost: every run, and the jobs of every rule that are left to do
# make figures laws, figures and reports of the studies that git keeps, anew; nothing is trained   (KEPT=results/reference/*)
# make test    make the environment, then all checks, and all tests but the drills
# make drills  the faults of a cluster, on a real SLURM that is started for them (root; Debian's munge, slurmctld, slurmd)
# make pins    resolve envs/requirements.in anew into envs/requirements.txt and envs/corpus.yaml

CONFIG ?= config.yaml
CORES ?= all
KEPT ?= $(patsubst %/config.yaml,%,$(wildcard results/reference/*/config.yaml))
PYTHON ?= python3
VENV := .venv
SHELL := bash
.SHELLFLAGS := -o pipefail -c
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# An old pip takes twice as long over these pins.
PIP := pip==26.3
# Where there is no GPU, the kernels for one are tested by its interpreter.
TRITON := triton==3.9.0
KERNEL_TESTS := tests/models/test_gpu_loss.py tests/training/test_captured.py
# Byte code is kept, whatever the shell says: it is made where it is first used, and a study starts Python a hundred times.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := run
.PHONY: run plan figures test drills check pins clean

run: $(VENV)/installed
	@snakemake --profile workflow/profiles/local --cores $(CORES) --configfile $(CONFIG) -- report
	@scalelaws show $(CONFIG)

plan: $(VENV)/installed
	@scalelaws plan $(CONFIG)
	@snakemake --profile workflow/profiles/local --configfile $(CONFIG) --dry-run --quiet rules progress -- report

figures: $(VENV)/installed
	@$(foreach study,$(KEPT),snakemake --profile workflow/profiles/local --cores $(CORES) \
	    --configfile $(study)/config.yaml --config finished=$(study) -- report &&) true

test: check $(VENV)/kernels/installed
	@if python -c 'import sys, torch; sys.exit(torch.cuda.is_available())'; then \
	    export TRITON_INTERPRET=1 PYTHONPATH=$(VENV)/kernels; fi; python -m pytest $(KERNEL_TESTS)
	@python -m pytest -n auto --dist loadfile --no-loadscope-reorder \
	    $(addprefix --ignore ,tests/drills/test_slurm.py $(KERNEL_TESTS)) tests

drills: $(VENV)/installed
	@python -m pytest tests/drills/test_slurm.py

check: $(VENV)/installed
	@ruff check
	@ruff format --check
	@mypy
	@snakefmt --check Snakefile workflow
	@snakemake --lint

pins:
	@rm -rf $(VENV).pins && $(PYTHON) -m venv $(VENV).pins
	@$(VENV).pins/bin/pip install --quiet --requirement envs/requirements.in
	@{ echo "# Made by \`make pins\` from requirements.in: do not edit."; \
	   $(VENV).pins/bin/pip freeze --exclude scalelaws | sed 's/+cpu$$//'; } > envs/requirements.txt
	@rm -rf $(VENV).pins
	@{ echo "# Made by \`make pins\`: every pin, because the corpus installed-docs is the documentation of them all."; \
	   printf '%s\n' 'channels: [conda-forge]' 'dependencies:' '  - python=3.11' '  - pip' '  - pip:'; \
	   sed -n 's/^[A-Za-z].*/      - &/p' envs/requirements.txt; } > envs/corpus.yaml

$(VENV)/installed: $(VENV)/requirements pyproject.toml
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

# Beside the environment: PyTorch for CPUs has no use for it, and looks for a GPU's compiler where it finds it.
$(VENV)/kernels/installed: $(VENV)/installed
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(@D) $(TRITON)
	@touch $@

$(VENV)/requirements: envs/requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "scalelaws needs Python 3.11 or newer; set PYTHON=…")'
	@$(PYTHON) -m venv --clear $(VENV)
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check $(PIP)
	@total=$$(grep -c == $<); count=0; \
	$(VENV)/bin/pip install --no-compile --disable-pip-version-check --progress-bar off --requirement $< 2>$(VENV)/errors | \
	while read -r word package rest; do case $$word in \
	    Collecting) count=$$((count + 1)); echo "install  $$count of $$total  $$package";; \
	    Installing) echo "install  unpacking all $$total";; \
	esac; done || { cat $(VENV)/errors; exit 1; }
	@touch $@

clean:
	@rm -rf $(VENV) .snakemake
