"""What the benches of containers share: diatom and its peers (podman with plain namespaces, bare_qemu.py) by the same
words, turn by turn, and the ratios."""
import contextlib
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / 'tests/support'))
from diatom import Home  # noqa: E402

# Ends at once when it is told to, as the first process of a container too, to which signals do nothing by default.
SLEEPER = ('sh', '-c', 'trap "exit 0" TERM; while :; do sleep 1000 & wait $!; done')
DEADLINE = 120


class Diatom:
    name = 'diatom'

    def __init__(self, home: Home):
        self.home = home

    def command(self, *words) -> list[str]:
        return self.home.command(*words)

    def env(self) -> dict:
        return self.home.env


class Podman:
    name = 'podman'

    def __init__(self, scratch: pathlib.Path, tar: pathlib.Path):
        self.scratch = scratch
        config = scratch / 'containers.conf'
        # Its default limits are more than a machine may give (facts/frontends.md).
        config.write_text('[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\nnetns = "none"\n')
        self.run('load', '-q', '-i', tar)

    def command(self, *words) -> list[str]:
        return ['podman', '--root', str(self.scratch / 'root'), '--runroot', str(self.scratch / 'run'),
                '--storage-driver', 'overlay', '--runtime', 'runc', '--cgroup-manager', 'cgroupfs', *map(str, words)]

    def env(self) -> dict:
        return dict(os.environ, CONTAINERS_CONF=str(self.scratch / 'containers.conf'))

    def run(self, *words):
        subprocess.run(self.command(*words), env=self.env(), check=True, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def two_tools() -> Iterator[tuple[Home, pathlib.Path, list]]:
    """A home, a scratch folder, and diatom and, where it is, podman, each with busybox."""
    with Home() as home, tempfile.TemporaryDirectory() as directory:
        scratch = pathlib.Path(directory)
        tools = [Diatom(home)]
        if shutil.which('podman') and shutil.which('runc') and os.geteuid() == 0:
            tools.append(Podman(scratch, home.path / 'busybox.tar'))
        else:
            print('without podman: it or runc is not here, or this is not root')
        yield home, scratch, tools
        if len(tools) > 1:
            subprocess.run(tools[1].command('rm', '-fa'), env=tools[1].env(), stdout=subprocess.DEVNULL)


def attempt(tool, *words) -> tuple[float, str]:
    """How long it took, in milliseconds, and why it failed: nothing, if it has not."""
    begin = time.monotonic()
    try:
        result = subprocess.run(tool.command(*words), env=tool.env(), stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=DEADLINE)
        why = '' if result.returncode == 0 else f'exit code {result.returncode}: {result.stderr.decode()}'
    except subprocess.TimeoutExpired:
        why = f'it did not end within {DEADLINE} s'
    return (time.monotonic() - begin) * 1000, why


def timed(tool, *words) -> float:
    milliseconds, why = attempt(tool, *words)
    if why:
        sys.exit(f'{" ".join(map(str, (tool.name, *words)))}: {why}')
    return milliseconds


def interleaved(runs: int, step: str, words: dict) -> dict:
    """`words`: a tool to what it is given; returns what report() takes. A first round counts for nobody: it fills the
    page cache, and makes what is made once."""
    times: dict = {}
    for number in range(runs + 1):
        for tool, given in words.items():
            milliseconds = timed(tool, *given)
            if number > 0:
                times.setdefault((tool.name, step), []).append(milliseconds)
    return times


def report(times: dict, tools: list, bars: dict):
    """`times`: (tool, step) to milliseconds, in the order of the steps; `bars`: a step to what is said of it. The first
    tool is ours, and the ratios of the medians are of it to each of the others."""
    for step in dict.fromkeys(step for _, step in times):
        ours = statistics.median(times[tools[0].name, step])
        text = f'{step:14}'
        for tool in tools:
            samples = times[tool.name, step]
            median = statistics.median(samples)
            text += f'   {tool.name} {median:8.1f} ms ({min(samples):.1f}–{max(samples):.1f})'
            if tool is not tools[0]:
                text += f' ratio {ours / median:.2f}'
        print(f'{text}   {bars.get(step, "")}'.rstrip(), flush=True)
