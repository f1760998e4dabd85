#!/usr/bin/env bash
# Writes a small read-only disk (ext4) with the agent as /init, for kernels that take no initramfs.
#   make_agent_disk.sh OUT AGENT
set -euo pipefail
out=$1 agent=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch"/tree/{dev,proc,sys,run,etc,newroot}
install -m 0755 "$agent" "$scratch/tree/init"
PATH=$PATH:/usr/sbin:/sbin
rm -f "$out"
mke2fs -q -t ext4 -O ^has_journal,^resize_inode -b 4096 -N 32 -m 0 -E root_owner=0:0 -d "$scratch/tree" "$out" 4M
