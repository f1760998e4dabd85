#!/usr/bin/env bash
# make bench: every bench, interleaved with its peer, with the ratio. Quote them with machine and date in
# docs/benchmarks.md.
set -euo pipefail
cd "$(dirname "$0")"
echo "$(nproc) CPUs, $(uname -srm), $(git rev-parse --short HEAD), $(date -u +%F)"
echo '== cold start'
./cold_run.py
echo '== warm start'
./warm_run.py
echo '== fork'
./fork.py
echo '== cold start, libkrun'
../tools/krun_guest/run.py --deadline 900 python3 bench/krun_run.py || echo 'not run'
echo '== image conversion'
./erofs_vs_umoci.*
echo '== pull'
./pull.py
echo '== a container'"'"'s life'
./lifecycle.py
echo '== files'
./files.py
echo '== logs'
../build/bin/log_bench
