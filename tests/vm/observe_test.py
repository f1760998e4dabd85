#!/usr/bin/env python3
"""What is to be seen of a container that runs: ps, inspect, stats, top, port, events."""
import json
import os
import pathlib
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from diatom import DEADLINE, HomeTest, main  # noqa: E402


class Observe(HomeTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        result = cls.home.run('run', '-d', '--name', 'web', '-p', '0:80', '--expose', '90', '--label', 'tier=front', 'busybox',
                              'sh', '-c', 'while :; do :; done & exec sleep 1000')
        assert result.returncode == 0, result.stderr
        cls.ident = result.stdout.decode().strip()

    @classmethod
    def tearDownClass(cls):
        cls.home.run('rm', '-f', 'web')
        super().tearDownClass()

    def out(self, *words) -> str:
        return self.diatom(*words).stdout.decode()

    def test_port_ps_and_inspect_agree_on_the_port_that_was_chosen(self):
        bound = self.out('port', 'web', '80').strip()
        self.assertRegex(bound, r'^127\.0\.0\.1:\d+$')
        self.assertEqual(self.out('port', 'web'), f'80/tcp -> {bound}\n')
        self.assertEqual(self.out('ps', '--format', '{{.Ports}}'), f'90/tcp, {bound}->80/tcp\n')
        ports = json.loads(self.out('inspect', '-f', '{{json .NetworkSettings.Ports}}', 'web'))
        address, port = bound.split(':')
        self.assertEqual(ports, {'80/tcp': [{'HostIp': address, 'HostPort': port}], '90/tcp': None})
        self.assertEqual(self.out('ps', '-q', '-f', f'publish={port}'), self.ident[:12] + '\n')

    def test_ps_and_inspect_say_that_it_runs(self):
        self.assertRegex(self.out('ps', '--format', '{{.Status}}'), r'^(Up (\d+ seconds?|Less than a second|About a minute|\d+ minutes))\n$')
        state = self.diatom('inspect', '-f', '{{.State.Status}} {{.State.Running}} {{gt .State.Pid 0}}', 'web').stdout
        self.assertEqual(state, b'running true true\n')

    def test_stats_measures_a_busy_loop(self):
        shown = json.loads(self.out('stats', '--no-stream', '--format', 'json', 'web'))
        self.assertEqual((shown['ID'], shown['Name']), (self.ident[:12], 'web'))
        self.assertGreater(float(shown['CPUPerc'].rstrip('%')), 5)
        # The container may use what its VM has, less what the guest needs for itself.
        self.assertRegex(shown['MemUsage'], r'^[0-9.]+(Ki|Mi)B / [345][0-9.]+MiB$')
        self.assertGreaterEqual(int(shown['PIDs']), 2)
        self.assertNotIn('0B', shown['Host'].split(' / '))

    def test_stats_goes_on_until_ctrl_c_which_is_no_failure(self):
        process = self.home.popen('stats', '--format', '{{.Name}}', stdout=subprocess.PIPE)
        self.assertEqual([process.stdout.readline() for _ in range(3)], [b'web\n'] * 3)
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        process.stdout.close()
        self.assertEqual(process.wait(DEADLINE), 0)

    def test_stats_redraws_in_place_on_a_terminal(self):
        master, slave = os.openpty()
        process = self.home.popen('stats', stdout=slave)
        os.close(slave)
        text = b''
        while text.count(b'web') < 2:
            text += os.read(master, 4096)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(DEADLINE), 0)
        os.close(master)
        self.assertTrue(text.startswith(b'\x1b[2J\x1b[HCONTAINER ID'), text)
        self.assertIn(b'\x1b[J\x1b[H', text)

    def test_top_shows_processes_as_ps_does(self):
        head, *lines = self.out('top', 'web').splitlines()
        self.assertEqual(head.split(), ['UID', 'PID', 'PPID', 'C', 'STIME', 'TTY', 'TIME', 'CMD'])
        self.assertTrue(lines[0].endswith('sleep 1000'), lines)
        self.assertEqual(self.out('top', 'web', '-o', 'pid,user,args').splitlines()[1].split(), ['1', 'root', 'sleep', '1000'])
        self.assertIn('%MEM', self.out('container', 'top', 'web', 'aux'))

    def test_events_of_exec_have_a_beginning_and_an_end(self):
        self.diatom('exec', 'web', 'true')
        actions = self.out('events', '--since', '1h', '--until', '0s', '-f', 'container=web', '--format', '{{.Action}}').splitlines()
        self.assertEqual(actions[:2], ['create', 'start'])
        for action in ('exec_create: true', 'exec_start: true'):
            self.assertIn(action, actions)


if __name__ == '__main__':
    main()
