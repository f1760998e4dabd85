"""What the tests that drive the real binary share: a home of their own, an image in it, and commands with a deadline."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get('DIATOM_BINARY', ROOT / 'build/bin/diatom'))
# That is used where none is asked for: libkrun needs what machines of CI have not.
ENGINE = os.environ.get('DIATOM_ENGINE', 'qemu')
# Under emulation, beside another VM on two cores, a boot takes seconds; a hang must still end.
DEADLINE = float(os.environ.get('DIATOM_TEST_DEADLINE', '120'))


def need(test: unittest.TestCase, thing: str, there: bool, reason: str):
    """Skips the test, and says why, unless `there`; a failure instead when DIATOM_REQUIRE (a list with commas) has the
    thing, or "all": a machine that should have it must not pass by skipping."""
    if there:
        return
    required = os.environ.get('DIATOM_REQUIRE', '').split(',')
    if thing in required or 'all' in required:
        test.fail(f'DIATOM_REQUIRE={",".join(required)}, and {reason}')
    test.skipTest(reason)


class Home:
    """A DIATOM_HOME and DIATOM_RUN in a temporary folder; `with Home() as home:` removes them."""

    def __init__(self, image: bool = True, directory: str | None = None):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix='diatom-test-', dir=directory))
        self.started: list[subprocess.Popen] = []
        self.env = dict(os.environ, DIATOM_HOME=str(self.path / 'home'), DIATOM_RUN=str(self.path / 'run'))
        if image:
            self.load_busybox()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.wait()
        # Containers outlive those who started them.
        if left := self.containers():
            self.run('rm', '-f', *left)
        shutil.rmtree(self.path, ignore_errors=True)

    def load_busybox(self, name: str = 'busybox'):
        tar = self.path / 'busybox.tar'
        subprocess.run([ROOT / 'tools/busybox_image.py', tar, name], check=True, timeout=DEADLINE)
        result = self.run('image', 'load', '-i', tar)
        assert result.returncode == 0, result.stderr

    def command(self, *words) -> list[str]:
        return [str(BINARY), *map(str, words)]

    def run(self, *words, stdin: bytes | None = b'', env: dict | None = None, timeout: float = DEADLINE, **more):
        """Runs `diatom WORDS` to its end; stdout and stderr are bytes."""
        return subprocess.run(self.command(*words), input=stdin, env=dict(self.env, **(env or {})), timeout=timeout,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)

    def popen(self, *words, env: dict | None = None, **more) -> subprocess.Popen:
        """Ends with the home at the latest: a test that fails in the middle leaves no VM behind."""
        process = subprocess.Popen(self.command(*words), env=dict(self.env, **(env or {})), **more)
        self.started.append(process)
        return process

    def json(self, *words):
        result = self.run(*words)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    def containers(self) -> list[str]:
        return self.run('ps', '-aq').stdout.decode().split()

    def files(self) -> set[str]:
        """Every path of the store but the database's own, to see that nothing is left behind."""
        home = self.path / 'home'
        return {str(p.relative_to(home)) for p in home.rglob('*') if not p.name.startswith('diatom.db')}


class HomeTest(unittest.TestCase):
    """A test case whose class has one Home with the busybox image."""
    home: Home

    @classmethod
    def setUpClass(cls):
        cls.home = Home()

    @classmethod
    def tearDownClass(cls):
        left = cls.home.run('ps', '-aq').stdout.decode().split()
        cls.home.close()
        if left:
            raise AssertionError(f'containers left behind: {left}')

    def diatom(self, *words, code: int = 0, **more):
        result = self.home.run(*words, **more)
        self.assertEqual(result.returncode, code,
                         f'diatom {" ".join(map(str, words))}\nstdout: {result.stdout[-2000:]!r}\nstderr: {result.stderr[-2000:]!r}')
        return result

    def guest(self, script: str, *options, code: int = 0, **more) -> str:
        """Runs a shell script in a fresh microVM and returns its stdout."""
        return self.diatom('run', '--rm', *options, 'busybox', 'sh', '-c', script, code=code, **more).stdout.decode()


def main():
    unittest.main(verbosity=2, argv=[sys.argv[0], *sys.argv[1:]])
