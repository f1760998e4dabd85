#!/usr/bin/env python3
"""`diatom run --engine krun --rm IMAGE true` beside the least that a program can do with the same library and the same
kernel (bench/krun_floor.c). Interleaved, and compared pair by pair: the machine's speed drifts. Bar: at most 1.35.

  tools/krun_guest/run.py --deadline 900 python3 bench/krun_run.py [RUNS]     where there is no KVM: in the Debian guest
  DIATOM_LIBKRUN=... bench/krun_run.py [RUNS]                                 where there is
"""
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / 'tests/support'))
from diatom import Home  # noqa: E402

CPUS, MIB = 1, 512


def timed(command, env=None) -> float:
    begin = time.monotonic()
    result = subprocess.run(list(map(str, command)), env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, timeout=180)
    if result.returncode != 0:
        sys.exit(f'{command[0]} failed: {result.stderr.decode()}')
    return time.monotonic() - begin


def floor_command(root: pathlib.Path) -> list:
    for name in ('bin', 'dev', 'proc', 'sys'):
        (root / name).mkdir()
    shutil.copy('/bin/busybox', root / 'bin/true')  # what the image has, too
    return [ROOT / 'build/bin/krun_floor', CPUS, MIB, root, '/bin/true']


def tell(name: str, times: list[float]):
    print(f'{name:44} median {statistics.median(times):6.2f} s   min {min(times):6.2f}   max {max(times):6.2f}   '
          f'({len(times)} runs)', flush=True)


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with tempfile.TemporaryDirectory() as root, Home() as home:
        command = home.command('run', '--engine', 'krun', '--rm', '--cpus', CPUS, '-m', f'{MIB}m', 'busybox', 'true')
        floor = floor_command(pathlib.Path(root))
        timed(command, home.env)  # fills the page cache, and what is made once
        timed(floor)
        ours, bare = [], []
        for _ in range(runs):
            ours.append(timed(command, home.env))
            bare.append(timed(floor, dict(os.environ)))
    tell('diatom run --engine krun --rm busybox true', ours)
    tell('krun_floor, the same kernel', bare)
    ratios = sorted(one / other for one, other in zip(ours, bare))
    print(f'ratio, median of the pairs {statistics.median(ratios):.2f}   min {ratios[0]:.2f}   max {ratios[-1]:.2f}   '
          f'of the medians {statistics.median(ours) / statistics.median(bare):.2f}   (bar 1.35)')


if __name__ == '__main__':
    main()
