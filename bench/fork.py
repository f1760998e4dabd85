#!/usr/bin/env python3
"""`fork` of a container whose program holds 200 MB, beside starting the same program anew until it is as far.

  fork.py [RUNS] [--copies N]

How long a copy takes, and N at once; for how long the first stands still (its program prints a word every few
milliseconds, and the log says when that came); and what memory all of them keep, with and without what they share.
"""
import argparse
import collections
import statistics
import time

from beside_podman import Diatom, Home, timed
from idle_memory import memory_of, vmm_and_monitor

HELD_MB = 200
READY = 'held'
PROGRAM = (f'head -c {HELD_MB}000000 /dev/urandom > /dev/shm/held; echo {READY}; '
           'while :; do echo tick; usleep 20000; done')


def start(home: Home, name: str) -> float:
    """Until the program holds what it is to hold."""
    begin = time.monotonic()
    timed(Diatom(home), 'run', '-d', '--name', name, '--shm-size', '256m', '-m', '512m', 'busybox', 'sh', '-c', PROGRAM)
    with home.popen('logs', '-f', name, stdout=-1) as log:
        while log.stdout.readline().strip() != READY.encode():
            pass
        log.kill()
    return (time.monotonic() - begin) * 1000


def longest_pause(home: Home, name: str, since: float) -> float:
    """Between two words of its program, in milliseconds."""
    stamps = [line.split()[0] for line in home.run('logs', '-t', '--since', f'{since:.3f}', name).stdout.splitlines()]
    seconds = [int(text[17:19]) + float(b'0' + text[19:-1]) for text in stamps]  # a bench crosses few minutes
    return max((after - before) % 60 for before, after in zip(seconds, seconds[1:])) * 1000


def kept_mib(home: Home, names: list[str]) -> tuple[float, float]:
    """Of all of them: what they keep together (PSS), and what none shares, each."""
    kept: collections.Counter = collections.Counter()
    for name in names:
        for pid in vmm_and_monitor(home, name):
            for (_, whose), mib in memory_of(pid).items():
                kept[whose] += mib
    return kept['Pss'], kept['Private'] / len(names)


def middle(samples: list[float]) -> str:
    return f'{statistics.median(samples):.0f} ms ({min(samples):.0f}–{max(samples):.0f})'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('runs', nargs='?', type=int, default=10)
    parser.add_argument('--copies', type=int, default=4)
    given = parser.parse_args()
    with Home() as home:
        home.env['DIATOM_ENGINE'] = 'qemu'
        ours = Diatom(home)
        start(home, 'first')
        alone, _ = kept_mib(home, ['first'])
        anew, forks, pauses = [], [], []
        for number in range(given.runs):
            anew.append(start(home, f'anew{number}'))
            begin = time.time()
            forks.append(timed(ours, 'fork', '--name', f'copy{number}', 'first'))
            pauses.append(longest_pause(home, 'first', begin))
            timed(ours, 'rm', '-f', f'anew{number}', f'copy{number}')
        print(f'a copy {middle(forks)}; anew {middle(anew)}; ratio {statistics.median(forks) / statistics.median(anew):.2f}')
        print(f'the first stands still for {middle(pauses)}')
        milliseconds = timed(ours, 'fork', '-n', str(given.copies), '--name', 'many', 'first')
        names = ['first'] + [f'many-{number + 1}' for number in range(given.copies)]
        for name in names:
            timed(ours, 'exec', name, 'md5sum', '/dev/shm/held')  # so that each has it in its own memory
        together, private = kept_mib(home, names)
        print(f'{given.copies} copies {milliseconds:.0f} ms, {milliseconds / given.copies:.0f} each; memory: '
              f'{alone:.0f} MiB of the first alone, {together:.0f} with all of them; not shared {private:.0f} each', flush=True)


if __name__ == '__main__':
    main()
