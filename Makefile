# `make run` and `make test` install everything that they need.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
ARGS ?=
COMMIT = $(shell git rev-parse HEAD)
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)

.PHONY: help run test bench bench-tests bench-profile bench-growth bench-hot scaling chaos clients manifests checkov e2e cluster cluster-down infra-test infra-bootstrap infra-plan infra-apply infra-destroy infra-apply-test fmt lint permissions \
	bump promote rollback status check-promotion image lock clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9 -]+:.*## / {printf "  make %-22s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/local  ## Serve on the embedded database (settings: GAME_API_*)
	@GAME_API_LOG_FORMAT=$${GAME_API_LOG_FORMAT:-console} exec $(BIN)/game-api

test: $(VENV)/dev  ## Run the tests (ARGS="-k name" to choose)
	$(BIN)/python -m pytest $(ARGS)

manifests: $(VENV)/dev  ## Run the tests of the manifests, the workflows, bump and promote
	$(BIN)/python -m pytest tests/gitops $(ARGS)

# A quick or a partial run leaves out the benchmarks of single parts.
bench: $(if $(QUICK)$(ARGS),,bench-tests) $(VENV)/bench/installed  ## Compare the service with a floor and other stacks, 15 minutes (QUICK=1: 90 s)
	@$(VENV)/bench/bin/python -m tests.benchmarks $(if $(QUICK),--quick) $(ARGS)

bench-profile: $(VENV)/bench/installed  ## Print where the CPU time of a request goes (ARGS="--operations mix")
	@$(VENV)/bench/bin/python -m tests.benchmarks.where $(ARGS)

bench-tests: $(VENV)/dev  ## Run the benchmarks of single parts, such as the access log
	$(BIN)/python -m pytest tests/benchmarks -s -o addopts=

bench-hot: $(VENV)/dev  ## Let 1,000 players join one session at once, beside two peers, and write docs/scaling.md
	@$(BIN)/python -m tests.benchmarks.hot --write $(ARGS)

scaling: $(VENV)/dev  ## Work out what fleets need, and write it into docs/scaling.md
	@$(BIN)/python -m tests.benchmarks.scaling

bench-growth: $(VENV)/dev  ## Measure how the cost of each operation grows from 1,000 to 100,000 documents
	@$(BIN)/python -m tests.benchmarks.growth $(ARGS)

chaos: $(VENV)/dev  ## Run the service under faults for 5 minutes (ARGS="--seconds 60 --seed 1")
	@$(BIN)/python -m tests.chaos $(ARGS)

clients: $(VENV)/dev  ## Generate clients of the API in four languages, compile them, and run them against the service
	@$(BIN)/python -m tests.clients $(ARGS)

checkov: $(VENV)/dev $(VENV)/checkov/installed  ## Scan the infrastructure and the image with checkov, and all files for secrets
	@command -v kubectl >/dev/null || { echo "checkov needs kubectl to render the overlays: please install it" >&2; exit 1; }
	$(BIN)/python -m tests.checkov.gate
	$(BIN)/python -m pytest tests/checkov -o addopts= --quiet

infra-test: $(VENV)/dev  ## Run the tests of Terraform; they don't connect to AWS
	$(BIN)/python -m pytest tests/terraform -o addopts= -ra --durations=5 -n 2 --ignore=tests/terraform/apply $(ARGS)

infra-apply-test: $(VENV)/dev  ## Apply, upgrade, resize and destroy the infrastructure on a stand-in for AWS, 12 minutes (QUICK=1: 6)
	$(BIN)/python -m pytest tests/terraform/apply -o addopts= -ra --durations=0 -n 2 --dist loadscope $(if $(QUICK),-m quick) $(ARGS)

e2e: $(VENV)/dev  ## Run the end-to-end tests on a real cluster (as root; 25 minutes the first time, then 10)
	@$(BIN)/python -m tests.e2e test $(ARGS)

cluster: $(VENV)/dev  ## Start such a cluster and keep it running
	@$(BIN)/python -m tests.e2e up

cluster-down: $(VENV)/dev  ## Stop that cluster
	@$(BIN)/python -m tests.e2e down

infra-bootstrap: infra-environment  ## Create the state bucket of an environment: make infra-bootstrap ENV=dev
	terraform -chdir=terraform/bootstrap init -reconfigure -backend-config=path=$(ENV).tfstate
	terraform -chdir=terraform/bootstrap apply -var-file=../environments/$(ENV).s3.tfbackend

BASE = terraform -chdir=terraform
REGISTRY = terraform -chdir=terraform/registry
ARGOCD = terraform -chdir=terraform/argocd

infra-plan infra-apply: infra-%: infra-environment  ## Plan or apply the Terraform configurations of an environment: ENV=dev (or ENV=registry)
ifeq ($(ENV),registry)
	$(REGISTRY) init -reconfigure -backend-config=../environments/registry.s3.tfbackend
	$(REGISTRY) $* -var-file=../environments/registry.tfvars
else
	$(BASE) init -reconfigure -backend-config=environments/$(ENV).s3.tfbackend
	$(BASE) $* -var-file=environments/$(ENV).tfvars
	@# Helm would wait for minutes, and then report a timeout.
	@endpoint=$$($(BASE) output -json cluster | sed -n 's/.*"endpoint": *"\([^"]*\)".*/\1/p'); \
		test -n "$$endpoint" || { echo "there is no cluster yet, so Argo CD can't be planned: run make infra-apply first" >&2; exit 1; }; \
		curl --silent --insecure --max-time 10 --output /dev/null "$$endpoint/livez" \
		|| { echo "the cluster's API at $$endpoint does not answer: connect to a network in cluster_api_private_cidrs, or add your address to cluster_api_cidrs" >&2; exit 1; }
	$(ARGOCD) init -reconfigure -backend-config=../environments/$(ENV).s3.tfbackend -backend-config=key=argocd.tfstate
	$(ARGOCD) $* -var-file=../environments/$(ENV).argocd.tfvars
endif

infra-destroy: infra-environment  ## Destroy an environment that is not protected; read docs/infrastructure.md first: ENV=dev
	@test "$(ENV)" != registry || { echo "the registry can't be destroyed: all environments run its images" >&2; exit 1; }
	$(ARGOCD) init -reconfigure -backend-config=../environments/$(ENV).s3.tfbackend -backend-config=key=argocd.tfstate
	$(BASE) init -reconfigure -backend-config=environments/$(ENV).s3.tfbackend
	@# A plan changes nothing. If the environment is protected, it fails, and Argo CD is still there.
	$(BASE) plan -destroy -var-file=environments/$(ENV).tfvars
	$(ARGOCD) destroy -var-file=../environments/$(ENV).argocd.tfvars
	$(BASE) destroy -var-file=environments/$(ENV).tfvars

.PHONY: infra-environment
infra-environment:
	@command -v terraform >/dev/null || { echo "please install terraform: https://developer.hashicorp.com/terraform/install" >&2; exit 1; }
	@test -n "$(ENV)" -a -f "terraform/environments/$(ENV).tfvars" \
		|| { echo "there is no environment '$(ENV)'; set ENV to dev, staging, prod or registry" >&2; exit 1; }

fmt: $(VENV)/dev  ## Format the code
	$(BIN)/black --quiet src tests

lint: $(VENV)/dev  ## Check format, style, types, layers and documentation
	$(BIN)/black --quiet --check --diff src tests
	$(BIN)/flake8 src tests
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m tests.documentation

permissions: $(VENV)/dev  ## Write the table of permissions into docs/security.md
	@$(BIN)/python -m tests.access.table

bump:  ## Deploy a build to dev: make bump ENV=dev TAG=COMMIT
	@PYTHONPATH=src $(PYTHON) -m gitops bump "$(ENV)" "$(TAG)"

promote: $(VENV)/base  ## Prepare a promotion: make promote FROM=dev TO=staging [ECR=REPOSITORY] [TAG=SHA] [AGAIN=1] [UNVERIFIED=1]
	@PYTHONPATH=src $(BIN)/python -m gitops promote "$(FROM)" "$(TO)" $(if $(ECR),--ecr "$(ECR)") \
		$(if $(TAG),--tag "$(TAG)") $(if $(AGAIN),--again) $(if $(UNVERIFIED),--unverified)

rollback:  ## List what an environment ran, or go back: make rollback ENV=prod [TO=BUILD]
	@PYTHONPATH=src $(PYTHON) -m gitops rollback "$(ENV)" $(if $(TO),"$(TO)")

status:  ## Show what every environment runs, and how it does
	@PYTHONPATH=src $(PYTHON) -m gitops status

check-promotion:  ## Check that a commit only brings what was there before: make check-promotion ENV=prod COMMIT=SHA
	@PYTHONPATH=src $(PYTHON) -m gitops check-promotion "$(ENV)" "$(COMMIT)"

image:  ## Build the image game-api:COMMIT (PYTHON_IMAGE=... sets the base image)
	docker build --tag game-api:$(COMMIT) --build-arg COMMIT=$(COMMIT) --build-arg VERSION=$(VERSION) \
		$(if $(PYTHON_IMAGE),--build-arg PYTHON_IMAGE=$(PYTHON_IMAGE)) .

COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --prerelease if-necessary-or-explicit

lock: $(VENV)/dev  ## Update all pinned dependencies (versions and hashes)
	echo setuptools | $(COMPILE) --upgrade - -o requirements/build.txt
	$(COMPILE) --upgrade pyproject.toml --extra local --extra dev -o requirements/dev.txt
	$(COMPILE) pyproject.toml --extra local -c requirements/dev.txt -o requirements/local.txt
	$(COMPILE) pyproject.toml -c requirements/dev.txt -o requirements/base.txt
	$(COMPILE) pyproject.toml --extra local --extra bench -c requirements/dev.txt -o requirements/bench.txt
	echo checkov | $(COMPILE) --upgrade - -o requirements/checkov.txt
	$(COMPILE) --upgrade tests/clients/python/clients.in -o tests/clients/python/clients.txt

clean:  ## Remove the virtual environment and the caches; .data is kept
	rm -rf $(VENV) .import_linter_cache .mypy_cache .pytest_cache .hypothesis build src/*.egg-info

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "game-api needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Each of these is a stamp file: nothing is installed again as long as the pins are unchanged.
$(VENV)/base $(VENV)/local $(VENV)/dev: $(VENV)/%: requirements/%.txt requirements/build.txt pyproject.toml | $(VENV)/bin/python
	@echo "installing requirements/$*.txt into $(VENV)"
	@$(INSTALL) --require-hashes -r requirements/build.txt -r requirements/$*.txt
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

# A separate environment, so that the service is measured without what only its tests need.
$(VENV)/bench/installed: requirements/bench.txt requirements/build.txt pyproject.toml
	@echo "installing requirements/bench.txt into $(VENV)/bench"
	@$(PYTHON) -m venv --clear $(VENV)/bench
	@$(VENV)/bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r requirements/build.txt -r requirements/bench.txt
	@$(VENV)/bench/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# A separate environment, because the pins of checkov conflict with those of the service.
$(VENV)/checkov/installed: requirements/checkov.txt
	@echo "installing requirements/checkov.txt into $(VENV)/checkov"
	@$(PYTHON) -m venv --clear $(VENV)/checkov
	@$(VENV)/checkov/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/checkov.txt
	@touch $@
