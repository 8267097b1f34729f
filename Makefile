# A thin front for CMake, Ninja and CTest. `make run` and `make test` are all that a stranger needs.
BUILD ?= build
GENERATE = cmake -G Ninja -S .
SEED ?= 1

.PHONY: all deps build programs run front test sim soak bench install clean

all: build

deps:
	@scripts/install-deps.sh build

configure = $(GENERATE) -B $(BUILD) -DCMAKE_BUILD_TYPE=RelWithDebInfo >$(BUILD).log 2>&1 || \
	{ cat $(BUILD).log; exit 1; }; rm -f $(BUILD).log

build: deps
	@$(configure)
	@cmake --build $(BUILD)

# What a farm needs, without the tests.
programs:
	@scripts/install-deps.sh run
	@$(configure)
	@cmake --build $(BUILD) --target stead shop

# Three servers on loopback, each a node beside a shop; prints a tour. Ctrl-C stops all of it.
run: programs
	@scripts/run-farm.sh $(BUILD) examples/loopback

# The same with a front node that is director and name server only.
front: programs
	@scripts/run-farm.sh $(BUILD) examples/front

# Every tier: style, unit, sim, fuzz, farm; under ASan+UBSan, and what is threaded under TSan.
test:
	@scripts/install-deps.sh test
	@scripts/test.sh

# One simulated farm, told step by step.
sim:
	@scripts/install-deps.sh build
	@$(GENERATE) -B build-asan -DCMAKE_BUILD_TYPE=Debug -DSTEAD_SANITIZE=address >/dev/null
	@cmake --build build-asan --target stead_sim
	@build-asan/tests/sim/stead_sim --seed $(SEED) --trace

# Long runs: many seeds, coverage-guided fuzzing, shoppers for minutes.
soak:
	@scripts/install-deps.sh test
	@scripts/soak.sh

# First figures beside the peers, medians of alternated rounds.
bench: programs
	@scripts/install-deps.sh bench
	@bench/run.sh $(BUILD)

install: build
	@cmake --install $(BUILD)

clean:
	rm -rf build build-asan build-tsan build-fuzz build-soak examples/*/run
