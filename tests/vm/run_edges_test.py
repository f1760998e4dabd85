#!/usr/bin/env python3
"""Edges of `run`: output that cannot be written, signals at every time, a full disk, what docker does in small things."""
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from diatom import DEADLINE, Home, HomeTest, main  # noqa: E402


class LostOutput(HomeTest):
    def full(self, stream: str, *words):
        """Runs with one stream on a full disk; the other is captured."""
        with open('/dev/full', 'wb') as disk:
            streams = {'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE, stream: disk}
            return subprocess.run(self.home.command(*words), env=self.home.env, timeout=DEADLINE, stdin=subprocess.DEVNULL,
                                  **streams)

    def test_of_a_program_that_succeeds_is_our_failure(self):
        result = self.full('stdout', 'run', '--rm', 'busybox', 'echo', 'hi')
        self.assertEqual(result.returncode, 125, result.stderr)
        self.assertIn(b'stdout: No space left', result.stderr)

    def test_does_not_hide_that_the_program_failed(self):
        result = self.full('stderr', 'run', '--rm', 'busybox', 'sh', '-c', 'echo hi >&2; exit 7')
        self.assertEqual(result.returncode, 7)

    def test_of_our_own_is_a_failure(self):
        for words in (['image', 'ls'], ['ps'], ['version'], ['image', 'inspect', 'busybox']):
            result = self.full('stdout', *words)
            self.assertEqual(result.returncode, 1, words)
            self.assertIn(b'No space left', result.stderr)

    def test_closed_descriptors_are_not_taken_for_something_else(self):
        for closed in ((0,), (1,), (2,), (0, 1, 2)):
            command = self.home.command('run', '--rm', '-i', 'busybox', 'sh', '-c', 'cat; echo out; echo err >&2; exit 3')
            redirections = ' '.join(f'{fd}{"<" if fd == 0 else ">"}&-' for fd in closed)
            result = subprocess.run(['sh', '-c', f'exec "$0" "$@" {redirections}', *command], env=self.home.env,
                                    timeout=DEADLINE, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE)
            self.assertEqual(result.returncode, 3, (closed, result.stderr))
            self.assertEqual(result.stdout, b'' if 1 in closed else b'out\n')
            self.assertEqual(result.stderr, b'' if 2 in closed else b'err\n')


class SignalsAtAnyTime(HomeTest):
    def start_and_read_until(self, word: bytes, *words):
        process = self.home.popen('run', '--rm', *words, env={'DIATOM_TRACE': '1'}, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while word not in process.stderr.readline():
            self.assertIsNone(process.poll())
        return process

    def test_those_that_end_nothing_do_not_end_a_start(self):
        process = self.start_and_read_until(b'vmm', 'busybox', 'echo', 'ran')
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT, signal.SIGALRM, signal.SIGCONT, signal.SIGRTMIN):
            process.send_signal(number)
        out, _ = process.communicate(timeout=DEADLINE)
        self.assertEqual((process.returncode, out), (0, b'ran\n'))

    def test_a_hangup_ends_a_start(self):
        process = self.start_and_read_until(b'vmm', 'busybox', 'sleep', '1000')
        process.send_signal(signal.SIGHUP)
        process.communicate(timeout=DEADLINE)
        self.assertEqual(process.returncode, 130)
        self.assertEqual(self.home.containers(), [])

    def test_all_that_docker_passes_on_reach_the_program(self):
        names = ('HUP', 'INT', 'QUIT', 'USR1', 'USR2', 'ALRM', 'TERM', 'CONT', 'VTALRM', 'PROF', 'WINCH', 'IO', 'PWR',
                 'XCPU', 'XFSZ', 'RTMIN')
        traps = ''.join(f'trap "echo {name}" {signal.Signals["SIG" + name].value}; ' for name in names)
        process = self.home.popen('run', '--rm', 'busybox', 'sh', '-c',
                                  traps + 'trap "echo bye; exit 6" 40; echo ready; while :; do sleep 0.1; done',
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.assertEqual(process.stdout.readline(), b'ready\n')
        for name in names:
            process.send_signal(signal.Signals['SIG' + name])
            self.assertEqual(process.stdout.readline(), name.encode() + b'\n')
        process.send_signal(40)
        self.assertEqual(process.stdout.read(), b'bye\n')
        process.stdout.close()
        self.assertEqual(process.wait(DEADLINE), 6)


class FullDisk(HomeTest):
    @staticmethod
    def fill(filler):
        try:
            while True:
                filler.write(b'\0' * 4096)
        except OSError:
            pass

    def end_and_remove(self, small: str):
        with Home(directory=small) as home, open(pathlib.Path(small, 'filler'), 'wb', buffering=0) as filler:
            self.assertEqual(home.run('run', '--name', 'kept', 'busybox', 'true').returncode, 0)
            process = home.popen('run', '--rm', '-i', 'busybox', 'sh', '-c', 'echo ready; read line; exit 5',
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self.assertEqual(process.stdout.readline(), b'ready\n')
            self.fill(filler)
            process.communicate(b'\n', timeout=DEADLINE)
            self.assertEqual(process.returncode, 5)
            self.fill(filler)  # what it gave back
            result = home.run('rm', 'kept')
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(home.containers(), [])
            self.assertEqual([f for f in home.files() if f.startswith('containers/')], [])

    def test_containers_go_on_a_full_disk(self):
        if os.getuid() != 0:
            self.skipTest('needs root, to mount a small tmpfs')
        with tempfile.TemporaryDirectory(prefix='diatom-small-') as small:
            subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', small], check=True)
            try:
                self.end_and_remove(small)
            finally:
                subprocess.run(['umount', '--lazy', small], check=True)


class SmallThings(HomeTest):
    def test_a_variable_that_is_not_set_here_takes_the_default_out(self):
        env = {key: value for key, value in self.home.env.items() if key != 'HOSTNAME'}
        result = subprocess.run(self.home.command('run', '--rm', '-e', 'HOSTNAME', '-e', 'TWICE=1', '-e', 'TWICE', 'busybox',
                                                  '/bin/env'), env=env, timeout=DEADLINE, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE)
        out = result.stdout.decode()
        self.assertIn('PATH=', out)
        self.assertNotIn('HOSTNAME', out)
        self.assertNotIn('TWICE', out)

    def test_a_cidfile_is_left_by_a_container_only(self):
        with tempfile.TemporaryDirectory() as scratch:
            path = pathlib.Path(scratch, 'cid')
            self.diatom('run', '--rm', '--cidfile', path, 'no-such-image', 'true', code=125)
            self.assertFalse(path.exists())
            self.diatom('run', '--rm', '--cidfile', path, 'busybox', '/no/such', code=127)
            self.assertRegex(path.read_text(), '^[0-9a-f]{64}$')

    def test_too_few_cpus_are_refused(self):
        for text in ('0.001', '0.0099'):
            self.assertIn(text.encode(), self.diatom('run', '--rm', '--cpus', text, 'busybox', 'true', code=125).stderr)

    def test_a_folder_of_somebody_else_is_no_store(self):
        with tempfile.TemporaryDirectory() as scratch:
            pathlib.Path(scratch, 'thesis.tex').write_text('mine')
            result = self.diatom('ps', code=1, env={'DIATOM_HOME': scratch})
            for word in (scratch, 'thesis.tex', 'DIATOM_HOME'):
                self.assertIn(word.encode(), result.stderr)
            self.assertEqual(os.listdir(scratch), ['thesis.tex'])


if __name__ == '__main__':
    main()
