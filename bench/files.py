#!/usr/bin/env python3
"""cp and commit beside podman with plain namespaces: the same image, interleaved, ratios of medians.

  files.py [RUNS]

1 GB in one file and 10,000 files of 100 bytes, into a container that runs and out of it; commit of a change of 200 MB.
Bar: cp no slower than podman's, as far as the guest channel allows: `exec cat` of the same file is printed beside it.
"""
import os
import pathlib
import shutil
import sys

from beside_podman import report, timed, two_tools

BIG = 1 << 30
SMALL = 10_000
CHANGE = 200 << 20
SLEEPER = ('sleep', '100000')


def make_sources(scratch: pathlib.Path):
    with open(scratch / 'big', 'wb') as file:
        block = os.urandom(16 << 20)
        for _ in range(BIG // len(block)):
            file.write(block)
    for number in range(SMALL):
        folder = scratch / 'small' / str(number % 100)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / str(number)).write_bytes(os.urandom(100))


def one_round(tool, scratch: pathlib.Path, number: int, times: dict):
    def step(what: str, *words):
        times.setdefault((tool.name, what), []).append(timed(tool, *words))
    name, back = f'files{number}', scratch / f'{tool.name}-back'
    back.mkdir()
    timed(tool, 'run', '-d', '--name', name, 'busybox', *SLEEPER)
    step('1 GB in', 'cp', scratch / 'big', f'{name}:/big')
    step('1 GB out', 'cp', f'{name}:/big', back / 'big')
    step('10,000 in', 'cp', scratch / 'small', f'{name}:/small')
    step('10,000 out', 'cp', f'{name}:/small', back / 'small')
    step('exec cat 1 GB', 'exec', name, 'cat', '/big')
    timed(tool, 'exec', name, 'rm', '-r', '/big', '/small')
    timed(tool, 'exec', name, 'dd', 'if=/dev/urandom', 'of=/change', 'bs=1M', f'count={CHANGE >> 20}')
    step('commit', 'commit', name, f'files:{number}')
    timed(tool, 'rm', '-f', name)
    shutil.rmtree(back)


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with two_tools() as (_, scratch, tools):
        make_sources(scratch)
        times: dict = {}
        for number in range(runs):
            for tool in tools:
                one_round(tool, scratch, number, times)
        report(times, tools, {})


if __name__ == '__main__':
    main()
