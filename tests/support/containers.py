"""What the tests of containers that live on share: starting them, looking at them, waiting for what becomes of them."""
import json
import pathlib
import select
import subprocess
import time

from diatom import DEADLINE, HomeTest

# What an answer may take beyond what was asked for: two cores, emulation, and other VMs beside this one.
BOUND = 20.0
READY = 'echo ready; '
ENDLESS = 'while :; do '


def accepted_at(socket_name: str) -> int:
    """How many connections the listener at that Unix socket has accepted; /proc/net/unix: state 3, by its path."""
    lines = pathlib.Path('/proc/net/unix').read_text().splitlines()
    return sum(line.endswith('/' + socket_name) and line.split()[5] == '03' for line in lines)


class ContainerTest(HomeTest):
    """Each test removes what it made: a container's name is the test's to choose."""

    def setUp(self):
        self.addCleanup(self.remove_all)

    def remove_all(self):
        if left := self.home.containers():
            self.home.run('rm', '-f', *left)

    def up(self, name: str, script: str, *options, ready: bool = True) -> str:
        """Starts a detached shell script; returns when it has printed "ready": its traps are set then. Its id."""
        before = script.find(ENDLESS) if ENDLESS in script else 0
        if ready:
            script = script[:before] + READY + script[before:]
        words = ['run', '-d', '--name', name, *options, 'busybox', 'sh', '-c', script]
        container = self.diatom(*words).stdout.decode().strip()
        if ready:
            self.await_output(name, b'ready')
        return container

    def inspect(self, name: str) -> dict:
        (info,) = self.home.json('inspect', '--type', 'container', name)
        return info

    def state(self, name: str) -> dict:
        return self.inspect(name)['State']

    def status(self, name: str) -> str:
        return self.state(name)['Status']

    def sh(self, name: str, script: str, *options, code: int = 0, **more) -> str:
        return self.diatom('exec', *options, name, 'sh', '-c', script, code=code, **more).stdout.decode()

    def wait(self, name: str, *options) -> int:
        return int(self.diatom('wait', *options, name).stdout)

    def logs(self, name: str, *options) -> str:
        return self.diatom('logs', *options, name).stdout.decode()

    def await_output(self, name: str, wanted: bytes):
        with Reader(self, 'logs', '-f', name) as log:
            log.until(wanted)

    def await_clients(self, name: str, count: int):
        """Until the monitor has accepted that many, beside those that come and go, and has read what they ask."""
        path = f'{self.inspect(name)["Id"][:20]}.sock'
        for _ in range(1000):
            if accepted_at(path) >= count:
                break
            self.diatom('exec', name, 'true')  # which is behind them in the queue
        else:
            self.fail('they did not come')
        self.diatom('exec', name, 'true')

    def timed(self, *words, code: int = 0) -> float:
        begin = time.monotonic()
        self.diatom(*words, code=code)
        return time.monotonic() - begin


class BoxTest(ContainerTest):
    """All tests share one container, `box`, and leave it running."""
    OPTIONS = ()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        result = cls.home.run('run', '-d', '--name', 'box', *cls.OPTIONS, 'busybox', 'sleep', '100000')
        assert result.returncode == 0, result.stderr

    @classmethod
    def tearDownClass(cls):
        cls.home.run('rm', '-f', 'box')
        super().tearDownClass()

    def remove_all(self):
        pass


class Reader:
    """`diatom WORDS` with its stdout to be read bit by bit; killed at the end."""

    def __init__(self, test: HomeTest, *words, stderr=None, stdin=subprocess.DEVNULL):
        self.process = test.home.popen(*words, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, bufsize=0)
        self.fd = self.process.stdout.fileno()
        self.seen = b''

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream:
                stream.close()

    def more(self, seconds: float = DEADLINE) -> bytes:
        """What comes next; nothing at the end, or when nothing came in time."""
        ready, _, _ = select.select([self.fd], [], [], seconds)
        data = self.process.stdout.read(1 << 16) if ready else b''
        self.seen += data
        return data

    def until(self, wanted: bytes, deadline: float = DEADLINE) -> bytes:
        end = time.monotonic() + deadline
        while wanted not in self.seen:
            if not self.more(max(0.0, end - time.monotonic())):
                raise AssertionError(f'{wanted!r} did not come; seen: {self.seen[-2000:]!r}')
        return self.seen

    def rest(self, deadline: float = DEADLINE) -> bytes:
        end = time.monotonic() + deadline
        while self.more(max(0.0, end - time.monotonic())):
            pass
        if time.monotonic() > end:
            raise AssertionError(f'it did not end; seen: {self.seen[-2000:]!r}')
        return self.seen


class EventReader(Reader):
    """Follows the events of one container, or of all, from now on: also those that come before the reader is up."""

    def __init__(self, test: HomeTest, *options):
        super().__init__(test, 'events', '--format', 'json', '--since', f'{time.time():.9f}', *options)

    def next(self, action: str) -> dict:
        """The next event whose action is, or begins with, `action`."""
        while True:
            self.until(b'\n')
            line, self.seen = self.seen.split(b'\n', 1)
            event = json.loads(line)
            if event['Action'].startswith(action):
                return event
