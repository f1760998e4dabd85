#!/bin/sh
# run.sh FUZZER CORPUS SCRATCH [libFuzzer's options]: replays CORPUS, which is only read, then goes on from it. New
# inputs and those that crash go to SCRATCH, which is emptied first, so that every run begins with the same.
set -eu
fuzzer=$1 corpus=$2 scratch=$3
shift 3
rm -rf "$scratch"
mkdir -p "$scratch/new"
exec "$fuzzer" -seed=1 -rss_limit_mb=1024 -timeout=20 -print_final_stats=1 -artifact_prefix="$scratch/" "$@" \
  "$scratch/new" "$corpus"
