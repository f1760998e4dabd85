#!/usr/bin/env bash
# make test: every test. The sanitizer and fuzz builds cover the host's code; VM tests boot real VMs.
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=${JOBS:-$(nproc)}

cmake --preset asan >/dev/null
cmake --build build-asan -j "$jobs"
cmake --preset tsan >/dev/null
cmake --build build-tsan -j "$jobs"
cmake --preset fuzz >/dev/null
cmake --build build-fuzz -j "$jobs" --target fuzzers

tools/lint.sh
ctest --test-dir build-asan -L unit --output-on-failure
ctest --test-dir build-tsan -L unit --output-on-failure
ctest --test-dir build-fuzz -L fuzz --output-on-failure -j "$jobs"
ctest --test-dir build --output-on-failure -j "$jobs"
