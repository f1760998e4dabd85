# Forwards to CMake, so that two commands do everything on a fresh machine. `make help` lists them.
PREFIX ?= /usr/local
DESTDIR ?=
JOBS ?= $(shell nproc)
KERNEL := .cache/kernel
KEEP_STDIN := </dev/null

.PHONY: all build deps test-deps krun-guest demo test test-krun soak asan tsan macos fuzz lint fmt bench install clean help

all: build

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

deps:
	@tools/install_deps.sh build $(KEEP_STDIN)

test-deps:
	@tools/install_deps.sh test $(KEEP_STDIN)
	@tools/fetch_krun.sh .cache/krun $(KEEP_STDIN)
	@tools/fetch_zig.sh .cache/ziglang $(KEEP_STDIN)

$(KERNEL)/version: tools/fetch_kernel.py
	@tools/fetch_kernel.py $(KERNEL)

# Where it cannot be made, its tests say so and are skipped. A kernel of Debian's backports if there is one, as it can bound the
# ports of a process (Landlock).
krun-guest: test-deps $(KERNEL)/version
	@tools/fetch_kernel.py .cache/krun-kernel bookworm-backports $(KEEP_STDIN) || cp -aT $(KERNEL) .cache/krun-kernel
	@tools/krun_guest/make.py .cache/krun-guest .cache/krun-kernel $(KEEP_STDIN) || true

build: deps $(KERNEL)/version ## install what is needed, build build/bin/diatom and the guest
	@cmake --preset release >/dev/null
	@cmake --build build -j $(JOBS)

demo: ## everything from nothing to the output of a program in a microVM
	@tools/demo.sh

test: test-deps krun-guest build ## every test: unit, lint, integration, vm, krun, fuzz, sanitizers
	@tools/test.sh

test-krun: krun-guest build ## the VM tests with the real libkrun, in an emulated machine that has KVM
	@ctest --test-dir build -L krun --output-on-failure -j $(JOBS)

asan tsan: test-deps $(KERNEL)/version ## the unit tests under the sanitizers
	@cmake --preset $@ >/dev/null && cmake --build build-$@ -j $(JOBS) --target unit_tests && ctest --preset $@

macos: test-deps ## compile everything for macOS; nothing is linked or run
	@tools/check_macos.py $(JOBS)

fuzz: test-deps $(KERNEL)/version ## short runs of every fuzz target
	@cmake --preset asan >/dev/null && cmake --build build-asan -j $(JOBS) --target fuzzers && ctest --preset fuzz

soak: build ## many rounds of random verbs and crashes
	@DIATOM_SOAK=$${DIATOM_SOAK:-500} DIATOM_SOAK_SECONDS=86400 python3 tests/vm/soak_test.py

lint: test-deps ## formatting and layers
	@tools/lint.sh

fmt: ## format the C++ sources
	@git ls-files '*.h' '*.cc' | xargs clang-format-19 -i

bench: test-deps build ## the benches of bench/, with their ratios
	@bench/run.sh

install: build ## honours DESTDIR and PREFIX
	@cmake --install build --prefix $(PREFIX)

clean: ## what was built; the kernel and the packages stay
	@rm -rf build build-dev build-asan build-tsan build-macos
