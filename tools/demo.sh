#!/usr/bin/env bash
# make demo: installs, builds, fetches the guest kernel, makes a small OCI image from Debian's busybox-static and runs it
# in a microVM. Prints each stage with its time.
set -euo pipefail
cd "$(dirname "$0")/.."

stage() {
    local name=$1 begin end
    shift
    begin=$(date +%s%N)
    "$@" >"$log" 2>&1 </dev/null || { echo "demo: $name failed:" >&2; cat "$log" >&2; exit 1; }
    end=$(date +%s%N)
    printf '%8d ms  %s\n' $(((end - begin) / 1000000)) "$name"
}

scratch=$(mktemp -d)
log=$scratch/log
trap 'rm -rf "$scratch"' EXIT
export DIATOM_HOME=$scratch/home DIATOM_RUN=$scratch/run

stage 'packages' tools/install_deps.sh build
stage 'guest kernel package' make -s .cache/kernel/version
stage 'build' make -s build
stage 'OCI image from busybox-static' tools/busybox_image.py "$scratch/busybox.tar" demo
stage 'image load (tar → EROFS)' build/bin/diatom image load -i "$scratch/busybox.tar"
echo
# shellcheck disable=SC2016 # expanded in the guest
build/bin/diatom run --rm --timing demo sh -c '
    echo "hello from a microVM of its own"
    uname -a
    echo "pid $$, host name $(hostname), $(nproc) CPUs, $(free -m | awk "/Mem/ {print \$2}") MiB"
    mount | head -n 1'
