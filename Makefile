# What can be done here. `make test` and `make demo` install what they need (scripts/setup says what) and need nothing else.

PKGS ?=
RUN ?=
FUZZTIME ?= 30s
BENCH ?=

.PHONY: all test test-more test-all kernels-page test-dwarf vm demo fuzz bench compare lint man setup clean

all: skprobe

# The program: one static binary.
skprobe: FORCE
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o $@ ./cmd/skprobe

# The tests: here, and then on every kernel of the matrix; those of the command line, which take longest, on one of them.
test: setup
	scripts/test

# In all other ways, for some hours: the command line on the other kernels, records through tracefs, layouts measured, the languages of old
# kernels; and on kernels that were booted in special ways. MINUTES=N begins no guest after so many.
test-more: setup
	MORE=1 MINUTES='$(MINUTES)' scripts/test

# Both.
test-all: setup
	ALL=1 scripts/test

# docs/kernels.md, from what the tests of test-all say.
kernels-page: setup
	rm -rf build/results
	V=1 KEEP=build/results ALL=1 scripts/test || echo 'some tests failed: the page says which' >&2
	go run ./internal/cmd/kernelspage build/results >docs/kernels.md

# Tests on one kernel in a VM: make vm KERNEL=6.1 [PKGS="./kprobe ./tracefs"] [RUN=regexp] [V=1]
vm: setup
	RUN='$(RUN)' V='$(V)' scripts/vm '$(or $(KERNEL),$(error Say which kernel, one of these: $(shell go run ./internal/cmd/kernels -keys)))' $(PKGS)

# What debug information says of a whole kernel, its layouts and its lines: downloads 280 MB once, and takes 1.8 GB of the cache.
test-dwarf: setup
	scripts/dwarf

# A DNS server, a few look-ups, and what skprobe shows of them.
demo: setup skprobe
	demo/run

# Every fuzz target for a short time: make fuzz [PKGS=./fetchargs] [FUZZTIME=10m]
fuzz:
	FUZZTIME='$(FUZZTIME)' scripts/fuzz $(PKGS)

# What skprobe costs, against its limits and its peers: see docs/performance.md.
bench: setup
	bench/run $(BENCH)

# The tools for TCP connections beside those of bpftrace and libbpf-tools, which must be installed: see docs/compare.md.
compare: setup
	bench/run compare

# gofmt, vet for each system that must compile, staticcheck.
lint:
	scripts/lint

# The programs that tests and demo use, from this machine's apt; nothing happens when they are there.
setup:
	@scripts/setup

# The man pages, into a folder: make man DIR=/usr/local/share/man/man1
man:
	go run ./internal/cmd/manpages '$(or $(DIR),$(error Say into which folder: DIR=…))'

# What was built here; the kernels stay in the cache.
clean:
	rm -rf build skprobe

FORCE:
