#!/usr/bin/env python3
"""A pull that ends before its time, by kill -9, by Ctrl-C, by a full disk: the next command finds a clean store."""
import ctypes
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from diatom import DEADLINE, main  # noqa: E402
from registry import Registry  # noqa: E402
from registry_case import RegistryTest, UserHome  # noqa: E402
from registry_images import layer, noise  # noqa: E402
from token_server import TokenServer  # noqa: E402

CLONE_NEWNS = 0x20000


class CrashTest(RegistryTest):
    @classmethod
    def push_images(cls):
        tars = [layer({f'dir{i}/file{n}': noise(1000, 100 * i + n) for n in range(50)}) for i in range(4)]
        tars.append(layer({'big': noise(1_000_000, 1)}))
        cls.image = cls.layout.image('app', tars)
        cls.push('app')
        # What the store has when it has pulled the image, and when it has nothing.
        with UserHome() as home:
            home.run('images')
            cls.empty = home.files()
            result = home.run('pull', f'{cls.proxy.host}/app')
            assert result.returncode == 0, result.stderr
            cls.whole = home.files()

    def setUp(self):
        super().setUp()
        self.name = f'{self.proxy.host}/app:latest'

    def start(self, *words, **more) -> subprocess.Popen:
        process = self.home.popen(*words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **more)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait, DEADLINE)
        self.addCleanup(process.kill)
        return process

    def stalled_pull(self, on: str, at: int) -> subprocess.Popen:
        """A pull that has come as far as that, and comes no further."""
        fault = self.proxy.add(on, stall=at)
        process = self.start('pull', self.name)
        self.assert_reached(fault, process)
        return process

    def assert_clean_and_repairable(self):
        """Nothing looks present; a pull makes it whole and no more than that; a prune leaves nothing."""
        self.assert_nothing_here()
        self.refused('image', 'inspect', self.name)
        self.proxy.heal()
        self.diatom('pull', self.name)
        self.assert_is(self.name, self.image)
        self.assertEqual(self.home.files(), self.whole)
        self.diatom('rmi', self.name)
        self.assertEqual(self.home.files(), self.empty)

    def steps(self):
        """A regular expression for a request, and a number of bytes of its answer to let through."""
        yield 'GET .*/manifests/', 0
        yield 'GET .*/manifests/', 100
        yield 'GET .*' + self.image.config.digest, 100
        for blob in self.image.layers:
            for at in (0, blob.size // 2, blob.size - 1):
                yield 'GET .*' + blob.digest, at


class KilledAtEachStep(CrashTest):
    def test_kill_at_each_step_of_the_transfer(self):
        for on, at in self.steps():
            with self.subTest(on=on, at=at):
                process = self.stalled_pull(on, at)
                process.kill()
                process.wait(DEADLINE)
                self.assert_clean_and_repairable()

    def test_what_was_killed_is_gone_after_a_prune(self):
        for on, at in list(self.steps())[::5]:
            with self.subTest(on=on, at=at):
                process = self.stalled_pull(on, at)
                process.kill()
                process.wait(DEADLINE)
                self.proxy.heal()
                self.diatom('image', 'prune', '-f')
                self.assertEqual(self.home.files(), self.empty)


    def test_what_was_killed_is_shown_by_nobody_and_gone_after_any_pull(self):
        other = self.layout.image('another', [layer({'x': b'x'})])
        self.push('another')
        with UserHome() as fresh:
            self.diatom('pull', f'{self.proxy.host}/another', home=fresh)
            alone = fresh.files()
        process = self.stalled_pull('GET .*' + self.image.layers[4].digest, 500)
        process.kill()
        process.wait(DEADLINE)
        self.proxy.heal()
        left = self.home.files()
        self.assertGreater(left, self.empty)
        for words in (('images', '-a', '-q'), ('images', '-q', '-f', 'dangling=true'), ('ps', '-aq')):
            self.assertEqual(self.diatom(*words).stdout, b'')
        self.refused('history', self.name)
        self.refused('image', 'inspect', self.image.id)
        self.assertEqual(self.home.files(), left)  # who only looks changes nothing
        self.diatom('pull', f'{self.proxy.host}/another')
        self.assert_is(f'{self.proxy.host}/another', other)
        self.assertEqual(self.home.files(), alone)


class KilledAtAnyMoment(CrashTest):
    def test_kill_at_any_moment(self):
        """Moments spread over the time that a pull takes: many fall on what no request marks, the writing and the commit."""
        begin = time.monotonic()
        self.diatom('pull', self.name)
        took = time.monotonic() - begin
        self.diatom('rmi', self.name)
        finished = 0
        for step in range(30):
            with self.subTest(step=step):
                process = self.start('pull', self.name)
                try:
                    process.wait(took * (0.3 + step / 30))
                except subprocess.TimeoutExpired:
                    process.kill()
                process.wait(DEADLINE)
                if self.here():  # the image was there before the end of the process: then it is there, whole
                    finished += 1
                    self.assert_is(self.name, self.image)
                    self.assertEqual(self.home.files(), self.whole)
                    self.diatom('rmi', self.name)
                    self.assertEqual(self.home.files(), self.empty)
                else:
                    self.assertNotEqual(process.returncode, 0)
                    self.assert_clean_and_repairable()
        self.assertLess(finished, 30, 'no pull was killed in time')

    def test_kill_and_pull_again_and_again(self):
        """Nobody cleans up in between; what is left does not grow."""
        for step in range(10):
            fault = self.proxy.add('GET .*' + self.image.layers[step % 5].digest, stall=500)
            process = self.start('pull', self.name)
            self.assert_reached(fault, process)
            process.kill()
            process.wait(DEADLINE)
            self.proxy.heal()
        self.assert_clean_and_repairable()

    def test_a_kill_while_another_image_is_there_leaves_that_alone(self):
        other = self.layout.image('other', [layer({'dir0/file0': b'other'}), layer({'x': b'x'})])
        self.push('other')
        self.diatom('pull', f'{self.proxy.host}/other')
        fault = self.proxy.add('GET .*' + self.image.layers[4].digest, stall=500)
        process = self.start('pull', self.name)
        self.assert_reached(fault, process)
        process.kill()
        process.wait(DEADLINE)
        self.proxy.heal()
        self.diatom('image', 'prune', '-f')
        self.assertEqual(self.here(), [other.id])
        self.assert_is(f'{self.proxy.host}/other', other)


class Interrupted(CrashTest):
    """Ctrl-C ends a pull at once, wherever it waits; 130, and nothing is left."""

    def assert_interrupted(self, process: subprocess.Popen):
        begin = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.wait(DEADLINE)
        self.assertEqual(process.returncode, 130, process.stderr.read())
        self.assertLess(time.monotonic() - begin, 5)
        self.assertEqual(self.home.files(), self.empty)
        self.assert_clean_and_repairable()

    def test_in_the_middle_of_each_transfer(self):
        for on, at in list(self.steps())[::2]:
            with self.subTest(on=on, at=at):
                process = self.stalled_pull(on, at)
                self.assert_interrupted(process)

    def test_while_no_answer_comes(self):
        self.proxy.add('/manifests/', delay=DEADLINE)
        process = self.start('pull', self.name)
        self.proxy.wait_for(lambda: any('/manifests/' in r.path for r in self.proxy.requests))
        self.assert_interrupted(process)

    def test_while_it_waits_to_try_again(self):
        self.proxy.add('/manifests/', status=429, headers={'Retry-After': '100'})
        process = self.start('pull', self.name)
        self.proxy.wait_for(lambda: any(r.status == 429 for r in self.proxy.requests))
        self.assert_interrupted(process)

    def test_while_the_bytes_drip(self):
        self.proxy.add('GET .*' + self.image.layers[4].digest, drip=(1, 0.2))
        process = self.start('pull', self.name)
        self.proxy.wait_for(lambda: any(r.sent > 3 and self.image.layers[4].digest in r.path for r in self.proxy.requests))
        self.assert_interrupted(process)

    def test_while_it_waits_for_another_pull(self):
        fault = self.proxy.add('GET .*' + self.image.layers[0].digest, stall=100)
        first = self.start('pull', self.name)
        self.assert_reached(fault, first)
        second = self.start('pull', self.name)
        self.proxy.wait_for(lambda: sum('/manifests/' in r.path for r in self.proxy.requests) >= 2)
        second.send_signal(signal.SIGINT)
        second.wait(DEADLINE)
        self.assertEqual(second.returncode, 130)
        fault.release()
        self.assertEqual(first.wait(DEADLINE), 0, first.stderr.read())
        self.assert_is(self.name, self.image)
        self.assertEqual(self.home.files(), self.whole)

    def test_while_it_waits_for_a_token(self):
        tokens = TokenServer(self.folder, {'ann': 'secret'})
        self.addCleanup(tokens.close)
        registry = Registry(token=tokens)
        self.addCleanup(registry.close)
        tokens.delay = DEADLINE
        process = self.start('pull', f'{registry.host}/public/app')
        tokens.wait_for(lambda: tokens.requests)
        self.assert_interrupted(process)

    def test_sigterm_is_as_good(self):
        fault = self.proxy.add('GET .*' + self.image.layers[4].digest, stall=500)
        process = self.start('pull', self.name)
        self.assert_reached(fault, process)
        process.send_signal(signal.SIGTERM)
        self.assertNotEqual(process.wait(DEADLINE), 0)
        self.assertEqual(self.home.files(), self.empty)


class DiskFull(CrashTest):
    """On a tmpfs of this process's own mount namespace: it goes with the process, however that ends."""

    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest('needs root, for a small tmpfs')
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNS) != 0:
            raise OSError(ctypes.get_errno(), 'unshare')
        subprocess.run(['mount', '--make-rprivate', '/'], check=True, timeout=30)
        super().setUpClass()

    def small_home(self, size: str) -> UserHome:
        folder = pathlib.Path(tempfile.mkdtemp(prefix='diatom-test-full-'))
        self.addCleanup(os.rmdir, folder)
        subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={size}', 'none', folder], check=True, timeout=30)
        self.addCleanup(subprocess.run, ['umount', '-l', folder], check=True, timeout=30)
        return UserHome(str(folder))

    def test_a_full_disk_is_named_and_nothing_is_left(self):
        for size in ('400k', '700k', '1200k', '1600k'):
            with self.subTest(size):
                home = self.small_home(size)
                self.diatom('images', home=home)
                empty = home.files()
                said = self.refused('pull', self.name, home=home, timeout=60)
                self.assertIn('No space left on device', said)
                self.assert_nothing_here(home)
                self.assertEqual(home.files(), empty)

    def test_with_room_again_the_pull_works(self):
        home = self.small_home('1200k')
        self.diatom('images', home=home)
        self.refused('pull', self.name, home=home, timeout=60)
        subprocess.run(['mount', '-o', 'remount,size=64m', home.path.parent], check=True, timeout=30)
        self.diatom('pull', self.name, home=home)
        self.assert_is(self.name, self.image, home)
        self.assertEqual(home.files(), self.whole)


if __name__ == '__main__':
    main()
