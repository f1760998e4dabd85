#!/usr/bin/env python3
"""`diatom pull` beside the floor (floor.cc: what no pull can do without) and beside the tools that people pull with now,
from a registry on the loopback to a root file system that is ready. Interleaved, each run into a cold store on a fresh
disk (a loop device where we are root), the registry's files in the page cache for all of them alike, and free memory
that costs what memory costs (warm_memory.py). Ratios are of the medians, and beside the floor also of each round, which
the machine's changes of speed do not touch: the mean and its standard error. Bars: at most 1.2 of the floor, at most 0.2
of podman and of containerd, at most 128 MiB of memory.

  pull.py [--only py|py-zstd|…] [--tools floor,diatom,…] [--runs N] [--quick] [--warm-memory GIB] [--cache DIRECTORY]

The images (pull_images.py) are made once in the cache: ${XDG_CACHE_HOME:-~/.cache}/diatom-bench, some 2 GiB.
"""
import argparse
import contextlib
import json
import math
import os
import pathlib
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from typing import NamedTuple

from local_registry import Registry, connect_until
from warm_memory import WarmMemory

ROOT = pathlib.Path(__file__).resolve().parents[1]
BINARY = pathlib.Path(os.environ.get('DIATOM_BINARY', ROOT / 'build/bin/diatom'))
FLOOR = ROOT / 'build/bin/pull_floor'
DEADLINE = 600
DISK_BYTES = 16 << 30  # sparse
PEERS = {'skopeo + umoci': ('skopeo', 'umoci'), 'podman': ('podman',), 'containerd': ('containerd', 'ctr')}
BARS = {'floor': 1.2, 'podman': 0.2, 'containerd': 0.2}
MEMORY_BAR_MIB = 128


class Failed(Exception):
    pass


class Sample(NamedTuple):
    seconds: float
    cpu_seconds: float  # of the processes that we wait for
    peak_mib: float


class Image(NamedTuple):
    shape: str
    compression: str
    layers: list
    registry: str

    @property
    def reference(self) -> str:
        return f'{self.registry}/bench/{self.shape}:{self.compression}'

    def floor_list(self) -> str:
        base = f'http://{self.registry}/v2/bench/{self.shape}/blobs'
        packed = [(layer[self.compression], layer['diff_id']) for layer in self.layers]
        return ''.join(f'{base}/{blob["digest"]} {blob["digest"]} {diff_id} {blob["size"]}\n' for blob, diff_id in packed)


def measure(*command, env=None, stdin: str = '') -> tuple[Sample, str]:
    """Runs a command to its end. Its peak includes its children's, and is never told below this script's own (what it
    was before exec counts, too), which is about 20 MiB."""
    with tempfile.TemporaryFile('w+') as given, tempfile.TemporaryFile('w+') as out, tempfile.TemporaryFile('w+') as err:
        given.write(stdin)
        given.seek(0)
        begin = time.monotonic()
        child = subprocess.Popen([str(word) for word in command], env=env, stdin=given, stdout=out, stderr=err)
        deadline = threading.Timer(DEADLINE, child.kill)
        deadline.start()
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.monotonic() - begin
        deadline.cancel()
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if child.returncode != 0:
            raise Failed(f'{command[0]}: {(err.read().strip().splitlines() or ["no reason given"])[-1][-200:]}')
        return Sample(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024), out.read()


@contextlib.contextmanager
def fresh_disk(cache: pathlib.Path):
    """An empty file system: what other runs left in theirs would be measured too. An ordinary user gets a folder."""
    if os.geteuid() != 0:
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            yield pathlib.Path(folder)
        return
    image = cache / 'disk.ext4'
    with open(image, 'wb') as file:
        file.truncate(DISK_BYTES)
    with contextlib.ExitStack() as undo:
        undo.callback(image.unlink)
        subprocess.run(['mkfs.ext4', '-q', '-F', image], check=True)
        # Direct: otherwise what is written would be copied into the page cache a second time.
        device = subprocess.run(['losetup', '--find', '--show', '--direct-io=on', image], check=True,
                                stdout=subprocess.PIPE, text=True).stdout.strip()
        undo.callback(subprocess.run, ['losetup', '--detach', device], check=True)
        mount = pathlib.Path(undo.enter_context(tempfile.TemporaryDirectory(prefix='diatom-bench-')))
        # The kernel would go on formatting in the background.
        subprocess.run(['mount', '-o', 'noinit_itable', device, mount], check=True)
        undo.callback(subprocess.run, ['umount', mount], check=True)
        yield mount


def floor(image: Image, disk: pathlib.Path, *options) -> Sample:
    sample, told = measure(FLOOR, *options, disk, stdin=image.floor_list())
    return sample._replace(peak_mib=json.loads(told)['peak_kib'] / 1024)


def diatom(image: Image, disk: pathlib.Path) -> Sample:
    env = dict(os.environ, DIATOM_HOME=str(disk / 'home'), DIATOM_RUN=str(disk / 'run'))
    return measure(BINARY, 'pull', image.reference, env=env)[0]


def skopeo_umoci(image: Image, disk: pathlib.Path) -> Sample:
    layout = f'{disk}/layout:bench'
    copied, _ = measure('skopeo', 'copy', '-q', '--insecure-policy', '--src-tls-verify=false',
                        f'docker://{image.reference}', f'oci:{layout}')
    unpacked, _ = measure('umoci', 'unpack', '--image', layout, disk / 'bundle')
    return Sample(copied.seconds + unpacked.seconds, copied.cpu_seconds + unpacked.cpu_seconds,
                  max(copied.peak_mib, unpacked.peak_mib))


def podman(image: Image, disk: pathlib.Path) -> Sample:
    store = ['podman', '--root', disk / 'root', '--runroot', disk / 'run', '--storage-driver', 'overlay']
    try:
        return measure(*store, 'pull', '-q', '--tls-verify=false', image.reference)[0]
    finally:  # it mounts its own root
        subprocess.run(['umount', disk / 'root/overlay'], stderr=subprocess.DEVNULL, check=False)


def containerd(image: Image, disk: pathlib.Path) -> Sample:
    """The daemon is up before the clock runs; its memory counts, as it does the work."""
    with tempfile.TemporaryDirectory(prefix='ctrd-') as state:  # a short path: sockets
        address = f'{state}/s'
        config = pathlib.Path(state, 'config.toml')
        config.write_text(f'version = 2\nroot = "{disk}/root"\nstate = "{state}/state"\n'
                          f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "{address}"\n')
        with open(disk / 'log', 'w') as log:
            daemon = subprocess.Popen(['containerd', '--config', config], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            try:
                connect_until(address, socket.AF_UNIX, alive=lambda: daemon.poll() is None)
                before = cpu_seconds_of(daemon.pid)
                sample, _ = measure('ctr', '-a', address, '-n', 'bench', 'image', 'pull', '--plain-http',
                                    '--snapshotter', 'overlayfs', image.reference)
                return Sample(sample.seconds, sample.cpu_seconds + cpu_seconds_of(daemon.pid) - before,
                              max(sample.peak_mib, peak_mib_of(daemon.pid)))
            finally:
                daemon.terminate()
                daemon.wait()


def cpu_seconds_of(pid: int) -> float:
    """Its own and its children's (it inflates with unpigz, where that is installed)."""
    after_name = pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return sum(map(int, after_name[11:15])) / os.sysconf('SC_CLK_TCK')


def peak_mib_of(pid: int) -> float:
    fields = dict(line.split(':', 1) for line in pathlib.Path(f'/proc/{pid}/status').read_text().splitlines())
    return int(fields['VmHWM'].split()[0]) / 1024


TOOLS = {
    'floor': floor,
    'floor-no-sync': lambda image, disk: floor(image, disk, '--no-sync'),
    'floor-no-write': lambda image, disk: floor(image, disk, '--no-write'),
    'floor-direct': lambda image, disk: floor(image, disk, '--direct'),
    'diatom': diatom,
    'skopeo + umoci': skopeo_umoci,
    'podman': podman,
    'containerd': containerd,
}


def can_pull() -> bool:
    if not BINARY.exists():
        return False
    told = subprocess.run([BINARY, 'pull', '--help'], capture_output=True, check=False).stdout
    return b'diatom pull' in told  # one that cannot tells of its other verbs


def usable_tools(wanted: list[str] | None) -> list[str]:
    tools = []
    for name in wanted or TOOLS:
        missing = [tool for tool in PEERS.get(name, ()) if shutil.which(tool) is None]
        if missing:
            print(f'without {name}: no {", ".join(missing)} here (apt-get install skopeo umoci podman containerd pigz)')
        elif name in ('podman', 'containerd') and os.geteuid() != 0:
            print(f'without {name}: it is compared as root only')
        elif name == 'diatom' and not can_pull():
            print(f'without diatom: {BINARY} cannot pull')
        else:
            tools.append(name)
    return tools


def run_image(image: Image, tools: list[str], runs: int, cache: pathlib.Path) -> dict[str, list[Sample]]:
    samples = {name: [] for name in tools}
    refused = {}
    measure(FLOOR, '--no-write', '/', stdin=image.floor_list())  # the registry's files come into the page cache
    for _ in range(runs):
        for name in random.sample(tools, len(tools)):  # what one leaves behind must not always be the same one's burden
            if name in refused:
                continue
            with fresh_disk(cache) as disk:
                os.sync()
                try:
                    samples[name].append(TOOLS[name](image, disk))
                except Failed as failure:
                    if name not in PEERS:
                        raise
                    refused[name] = failure
    for name, why in refused.items():
        print(f'{name} refuses {image.shape} {image.compression}: {why}')
        del samples[name]
    return samples


def verdict(what: str, value: float, bar: float) -> str:
    return f'{what} {value:.2f} (bar {bar:g}: {"met" if value <= bar else "MISSED"})'


def by_round(some: list[Sample], floors: list[Sample]) -> str:
    if len(some) != len(floors) or len(some) < 2:
        return ''
    logs = [math.log(sample.seconds / floor.seconds) for sample, floor in zip(some, floors, strict=True)]
    mean = math.exp(statistics.mean(logs))
    return f'{mean:.2f} ±{mean * statistics.stdev(logs) / math.sqrt(len(logs)):.2f}'


def report(image: Image, samples: dict[str, list[Sample]], runs: int) -> None:
    packed = sum(layer[image.compression]['size'] for layer in image.layers) >> 20
    whole = sum(layer['tar_bytes'] for layer in image.layers) >> 20
    print(f'\n{image.shape}, {image.compression}: {len(image.layers)} layers, {whole} MiB, packed {packed} MiB; '
          f'median of {runs}')
    print(f'{"":18}{"seconds":>9}{"min":>8}{"max":>8}{"of floor":>10}{"by round":>13}{"CPU s":>8}'
          f'{"peak MiB":>10}')
    times = {name: statistics.median(s.seconds for s in some) for name, some in samples.items()}
    peaks = {name: max(s.peak_mib for s in some) for name, some in samples.items()}
    for name, some in samples.items():
        of_floor = f'{times[name] / times["floor"]:.2f}' if 'floor' in times else ''
        rounds = by_round(some, samples['floor']) if 'floor' in samples else ''
        cpu = statistics.median(s.cpu_seconds for s in some)
        print(f'{name:18}{times[name]:9.2f}{min(s.seconds for s in some):8.2f}{max(s.seconds for s in some):8.2f}'
              f'{of_floor:>10}{rounds:>13}{cpu:8.2f}{peaks[name]:10.0f}')
    if 'diatom' in times:
        bars = [verdict(f'of {name}', times['diatom'] / times[name], bar) for name, bar in BARS.items() if name in times]
        print('diatom: ' + ', '.join([*bars, verdict('MiB', peaks['diatom'], MEMORY_BAR_MIB)]), flush=True)


def arguments() -> argparse.Namespace:
    cache = pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache') / 'diatom-bench'
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--only', action='append', metavar='SHAPE', help='base, py, ml; or with -gzip, -zstd')
    parser.add_argument('--tools', type=lambda text: text.split(','), help=f'of {", ".join(TOOLS)}')
    parser.add_argument('--runs', type=int, default=3)
    memory_gib = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / (1 << 30)
    parser.add_argument('--warm-memory', type=float, default=min(12, memory_gib / 2), metavar='GIB',
                        help='held in small pieces (see warm_memory.py); 0: nothing')
    parser.add_argument('--quick', action='store_true', help='one run of each, without the largest image')
    parser.add_argument('--cache', type=pathlib.Path, default=cache)
    given = parser.parse_args()
    if unknown := set(given.tools or ()) - set(TOOLS):
        parser.error(f'no such tool: {", ".join(unknown)}')
    if given.quick:
        given.runs = 1
        given.only = given.only or ['base', 'py']
    return given


def main() -> None:
    given = arguments()
    if shutil.which('docker-registry') is None or shutil.which('skopeo') is None:
        sys.exit('pull.py: needs a registry: apt-get install docker-registry skopeo')
    given.cache.mkdir(parents=True, exist_ok=True)
    subprocess.run(['cmake', '--build', ROOT / 'build', '--target', 'pull_floor'], check=True, stdout=subprocess.DEVNULL)
    # In a process of its own: its memory would be counted as that of what we measure.
    subprocess.run([ROOT / 'bench/pull_images.py', given.cache], check=True)
    shapes = json.loads((given.cache / 'images.json').read_text())['images']
    tools = usable_tools(given.tools)
    memory = WarmMemory(given.warm_memory) if given.warm_memory > 0 else contextlib.nullcontext()
    with Registry(given.cache / 'registry') as registry, memory:
        for shape, layers in shapes.items():
            for compression in ('gzip', 'zstd'):
                if given.only and not {shape, f'{shape}-{compression}'} & set(given.only):
                    continue
                image = Image(shape, compression, layers, registry.address)
                report(image, run_image(image, tools, given.runs, given.cache), given.runs)


if __name__ == '__main__':
    main()
