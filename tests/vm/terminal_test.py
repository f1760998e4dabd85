#!/usr/bin/env python3
"""Terminals and signals of `diatom run`, with a real pseudo-terminal on the host's side."""
import os
import pathlib
import select
import signal
import subprocess
import sys
import termios

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from diatom import DEADLINE, HomeTest, main  # noqa: E402
from terminal import in_terminal, read_until, set_size  # noqa: E402


class Terminal(HomeTest):
    def start(self, *words):
        return in_terminal(self.home, 'run', '--rm', '-it', *words)

    def test_size_and_control_c(self):
        process, master = self.start('busybox', 'sh')
        before = termios.tcgetattr(master)
        os.write(master, b'stty size; tty; echo rea""dy\n')
        out = read_until(master, b'ready')
        self.assertIn(b'33 101', out)
        self.assertIn(b'/dev/pts/0', out)
        if b'emulat' not in out and not os.access('/dev/kvm', os.R_OK):
            self.fail(f'a terminal is told that this is emulation: {out!r}')
        os.write(master, b'sh -c \'echo wai""ting; cat\'\n')
        read_until(master, b'waiting')
        # The shell's prompt first: a line that is there before it could still be read by the program that dies.
        os.write(master, b'\x03')
        read_until(master, b'# ')
        os.write(master, b'echo still-""here\n')
        read_until(master, b'still-here')
        os.write(master, b'exit 9\n')
        self.assertEqual(process.wait(DEADLINE), 9)
        self.assertEqual(termios.tcgetattr(master)[3], before[3] | termios.ICANON | termios.ECHO)
        os.close(master)

    def test_a_resize_reaches_the_program(self):
        script = 'trap "stty size; exit 4" WINCH; echo rea""dy; while :; do sleep 1; done'
        process, master = self.start('busybox', 'sh', '-c', script)
        read_until(master, b'ready')
        set_size(master, 44, 120)
        read_until(master, b'44 120')
        self.assertEqual(process.wait(DEADLINE), 4)
        os.close(master)


class Signals(HomeTest):
    def test_sigterm_reaches_the_program(self):
        process = self.home.popen('run', '--rm', 'busybox', 'sh', '-c',
                                  'trap "echo got it; exit 5" TERM; echo ready; while :; do sleep 1; done',
                                  stdout=subprocess.PIPE)
        self.assertEqual(process.stdout.readline(), b'ready\n')
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.stdout.read(), b'got it\n')
        process.stdout.close()
        self.assertEqual(process.wait(DEADLINE), 5)

    def test_interrupt_while_the_vm_boots_leaves_nothing(self):
        process = self.home.popen('run', '--rm', '--timing', 'busybox', 'sleep', '1000', stderr=subprocess.PIPE,
                                  env={'DIATOM_TRACE': '1'})
        while b'vmm' not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(DEADLINE), 130, process.stderr.read())
        self.assertEqual(self.home.containers(), [])
        process.stderr.close()

    def test_a_client_that_is_killed_leaves_the_container_running(self):
        process = self.home.popen('run', '--name', 'orphan', 'busybox', 'sh', '-c', 'echo ready; sleep 1000',
                                  stdout=subprocess.PIPE)
        self.assertEqual(process.stdout.readline(), b'ready\n')
        process.kill()
        process.wait()
        process.stdout.close()
        (info,) = self.home.json('inspect', 'orphan')
        self.assertEqual(info['State']['Status'], 'running')
        self.diatom('rm', '-f', 'orphan')


if __name__ == '__main__':
    main()
