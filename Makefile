# make run    make the environment, then the study of CONFIG: report and laws     (CONFIG=config.yaml)
# make test   make the environment, then all checks and tests
# make pins   resolve envs/requirements.in anew into envs/requirements.txt and envs/corpus.yaml

CONFIG ?= config.yaml
CORES ?= all
PYTHON ?= python3
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.DEFAULT_GOAL := run
.PHONY: run plan test check pins clean

run: $(VENV)/installed
	@snakemake --profile workflow/profiles/local --cores $(CORES) --configfile $(CONFIG) -- report
	@scalelaws show $(CONFIG)

test: check
	@python -m pytest -n auto tests

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

$(VENV)/installed: envs/requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "scalelaws needs Python 3.11 or newer; set PYTHON=…")'
	@echo "Installing the pinned environment into $(VENV) (about a minute) …"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --requirement envs/requirements.txt
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

clean:
	@rm -rf $(VENV) .snakemake
