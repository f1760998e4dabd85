"""What the benches of containers share: diatom and podman (with plain namespaces) by the same words, and the ratios."""
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
        if shutil.which('podman') and os.geteuid() == 0:
            tools.append(Podman(scratch, home.path / 'busybox.tar'))
        else:
            print('without podman: it is not here, or this is not root')
        yield home, scratch, tools
        if len(tools) > 1:
            subprocess.run(tools[1].command('rm', '-fa'), env=tools[1].env(), stdout=subprocess.DEVNULL)


def timed(tool, *words) -> float:
    begin = time.monotonic()
    result = subprocess.run(tool.command(*words), env=tool.env(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, timeout=120)
    if result.returncode != 0:
        sys.exit(f'{tool.name} {" ".join(map(str, words))}: {result.stderr.decode()}')
    return (time.monotonic() - begin) * 1000


def report(times: dict, tools: list, bars: dict):
    """`times`: (tool, step) to milliseconds, in the order of the steps; `bars`: a step to what is said of it."""
    for step in dict.fromkeys(step for _, step in times):
        medians = [statistics.median(times[tool.name, step]) for tool in tools]
        text = '   '.join(f'{tool.name} {median:8.1f} ms' for tool, median in zip(tools, medians))
        ratio = f'   ratio {medians[0] / medians[1]:6.2f}' if len(medians) > 1 else ''
        print(f'{step:14} {text}{ratio}   {bars.get(step, "")}'.rstrip())
