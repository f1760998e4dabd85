#!/usr/bin/env python3
"""Starts from a template (engine qemu), and what they cost. Interleaved with the peers; ratios are of the medians.

  warm_run.py [RUNS] [--starts N] [--at-once N] [--idle N]

  run       `run --rm IMAGE true` beside bare QEMU that boots (bare_qemu.py), bar 0.2, and podman's with plain
            namespaces, bar 1.5
  exec      `exec CONTAINER true` beside podman's, bar 1.0
  idle      the memory of containers of the default size that do nothing (idle_memory.py), bar 40 MiB each that no other
            process shares; a VM's peak
  starts    in a row, and at once: none fails, and none has to boot; p99 at most 3 times p50
  templates what they take of the disk, and of memory while they are made

podman's containers have no network (beside_podman.py); ours have one, as `run` gives it.
"""
import argparse
import concurrent.futures
import math
import pathlib
import statistics

from bare_qemu import BareQemu
from beside_podman import SLEEPER, Diatom, Home, attempt, interleaved, report, timed, two_tools
from idle_memory import report_idle, vmm_and_monitor
from pull import measure, peak_mib_of

IDLE_BAR_MIB = 40
BLOCK_BYTES = 512  # of st_blocks


def report_templates(home: Home):
    """Builds that of a size, and that of an image: nothing has been started from one so far."""
    for what, words in (('for all', ()), ('of an image', ('busybox',))):
        sample, name = measure(*home.command('template', 'build', *words), env=home.env)
        files = [path.stat() for path in (home.path / 'home/templates' / name.strip()).iterdir()]
        on_disk = sum(status.st_blocks * BLOCK_BYTES for status in files) / (1 << 20)
        print(f'template {what:12} {on_disk:.1f} MiB on the disk, made in {sample.seconds * 1000:.0f} ms with '
              f'{sample.peak_mib:.0f} MiB of memory at most', flush=True)


def report_runs(runs: int, home: Home, scratch: pathlib.Path, tools: list):
    bare = BareQemu(home, scratch)
    words = {tool: ('run', '--rm', 'busybox', 'true') for tool in tools} | {bare: ()}
    report(interleaved(runs, 'run, warm', words), [*tools, bare], {'run, warm': '(bars: podman 1.5, bare QEMU 0.2)'})


def report_exec(runs: int, tools: list):
    for tool in tools:
        timed(tool, 'run', '-d', '--name', 'exec', 'busybox', *SLEEPER)
    report(interleaved(runs, 'exec', {tool: ('exec', 'exec', 'true') for tool in tools}), tools, {'exec': '(bar 1.0)'})
    for tool in tools:
        timed(tool, 'rm', '-f', 'exec')


def report_memory(home: Home, count: int):
    names = [f'idle{number}' for number in range(count)]
    for name in names:
        timed(Diatom(home), 'run', '-d', '--name', name, 'busybox', *SLEEPER)
    report_idle(home, names, IDLE_BAR_MIB)
    peaks = [peak_mib_of(vmm_and_monitor(home, name)[0]) for name in names]
    print(f'  peak of a VM, with what it shares: {statistics.median(peaks):.0f} MiB, at most {max(peaks):.0f}',
          flush=True)
    timed(Diatom(home), 'rm', '-f', *names)


def percentile(samples: list[float], percent: int) -> float:
    """The least that so many of them do not exceed: of up to a hundred samples, p99 is the slowest."""
    return sorted(samples)[math.ceil(len(samples) * percent / 100) - 1]


def report_starts(home: Home, count: int, at_once: int):
    """`run` to its end. The containers are kept until all have run, as they tell which way they have started."""
    def start(number: int) -> tuple[float, str]:
        return attempt(Diatom(home), 'run', '--name', f'start{number}', 'busybox', 'true')

    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        results = list(pool.map(start, range(count)))
    times = [milliseconds for milliseconds, why in results if not why]
    failures = [why for _, why in results if why]
    kept = home.containers()
    booted = sum(info['Engine']['Start'] != 'warm' for info in home.json('inspect', *kept)) if kept else 0
    print(f'{count} starts, {at_once} at once: {len(failures)} failed, {booted} booted (bar 0)')
    for why in failures:
        print(f'  {why.strip()}')
    if times:
        half, most = percentile(times, 50), percentile(times, 99)
        print(f'  p50 {half:.0f} ms   p99 {most:.0f} ms   p99/p50 {most / half:.2f} (bar 3)', flush=True)
    if kept:
        timed(Diatom(home), 'rm', '-f', *kept)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('runs', nargs='?', type=int, default=20, help='of run and exec')
    parser.add_argument('--starts', type=int, default=50)
    parser.add_argument('--at-once', type=int, default=10)
    parser.add_argument('--idle', type=int, default=20)
    return parser.parse_args()


def main() -> None:
    given = arguments()
    with two_tools() as (home, scratch, tools):
        home.env['DIATOM_ENGINE'] = 'qemu'
        report_templates(home)
        report_runs(given.runs, home, scratch, tools)
        report_exec(given.runs, tools)
        report_memory(home, given.idle)
        report_starts(home, given.starts, at_once=1)
        report_starts(home, given.at_once, at_once=given.at_once)


if __name__ == '__main__':
    main()
