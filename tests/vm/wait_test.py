#!/usr/bin/env python3
"""Waiting for what becomes of a container, and hearing of it: any number of waiters, none of whom polls."""
import os
import pathlib
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from containers import ContainerTest, EventReader, Reader  # noqa: E402
from diatom import DEADLINE, main  # noqa: E402

FOREVER = 'sleep 1000'


def cpu_ticks(pid: int) -> int:
    """utime + stime of proc(5)."""
    fields = pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()
    return int(fields[11]) + int(fields[12])



class Waiters(ContainerTest):
    def monitor(self, name: str) -> int:
        return int(pathlib.Path(self.home.path, 'home', 'containers', self.inspect(name)['Id'], 'lock').read_text())

    def test_a_hundred_get_the_code_and_cost_nothing_meanwhile(self):
        self.up('box', 'trap "exit 17" USR1; while :; do sleep 0.1; done')
        waiters = [self.home.popen('wait', 'box', stdout=subprocess.PIPE) for _ in range(100)]
        self.addCleanup(lambda: [w.stdout.close() for w in waiters])
        self.await_clients('box', 100)
        before = [cpu_ticks(w.pid) for w in waiters]
        with Reader(self, 'logs', '-f', '--tail', '0', 'box') as log:  # nothing is written to it: two seconds pass
            self.assertEqual(log.more(2.0), b'')
        self.assertEqual([cpu_ticks(w.pid) for w in waiters], before)
        self.diatom('kill', '-s', 'USR1', 'box')
        for waiter in waiters:
            self.assertEqual(waiter.stdout.read(), b'17\n')
            self.assertEqual(waiter.wait(DEADLINE), 0)

    def test_conditions(self):
        self.diatom('create', '--name', 'box', 'busybox', 'sh', '-c', 'exit 5')
        self.assertEqual(self.wait('box'), 0)  # it does not run: nothing to wait for
        with Reader(self, 'wait', '--condition', 'next-exit', 'box') as next_exit, \
                Reader(self, 'wait', '--condition', 'removed', 'box') as removed:
            self.assertEqual(next_exit.more(0.5), b'')
            self.diatom('start', 'box')
            self.assertEqual(next_exit.rest(), b'5\n')
            self.assertEqual(self.wait('box'), 5)
            self.assertEqual(removed.more(0.5), b'')
            self.diatom('rm', 'box')
            self.assertEqual(removed.rest(), b'5\n')
        self.diatom('wait', 'box', code=1)
        result = self.diatom('wait', '--condition', 'tuesday', 'box', code=1)
        self.assertIn(b'next-exit', result.stderr)

    def test_several_at_once(self):
        for name, code in (('one', 1), ('two', 2)):
            self.diatom('run', '-d', '--name', name, 'busybox', 'sh', '-c', f'exit {code}')
        self.assertEqual(self.diatom('wait', 'one', 'two').stdout, b'1\n2\n')

    def test_they_hear_of_a_killed_monitor(self):
        self.up('box', FOREVER)
        with Reader(self, 'wait', 'box') as plain, Reader(self, 'wait', '--condition', 'next-exit', 'box') as next_exit, \
                Reader(self, 'wait', '--condition', 'removed', 'box') as removed:
            self.await_clients('box', 3)
            os.kill(self.monitor('box'), signal.SIGKILL)
            self.assertEqual(plain.rest(), b'137\n')
            self.assertEqual(next_exit.rest(), b'137\n')
            self.assertEqual(self.state('box')['Status'], 'exited')
            self.assertIn('killed', self.state('box')['Error'])
            self.diatom('rm', 'box')
            self.assertEqual(removed.rest(), b'137\n')

    def test_one_can_be_interrupted(self):
        self.up('box', FOREVER)
        with Reader(self, 'wait', 'box') as waiter:
            self.await_clients('box', 1)
            waiter.process.send_signal(signal.SIGINT)
            self.assertNotEqual(waiter.process.wait(DEADLINE), 0)
        self.assertEqual(self.status('box'), 'running')


class Events(ContainerTest):
    def actions(self, *options) -> list[str]:
        out = self.diatom('events', '--until', '0s', '--format', '{{.Type}} {{.Action}}', *options).stdout.decode()
        return out.splitlines()

    def test_a_life_in_order(self):
        with EventReader(self) as events:
            self.diatom('run', '--rm', '--name', 'brief', '--label', 'kind=test', 'busybox', 'true')
            for action in ('create', 'start', 'die', 'destroy'):
                event = events.next(action)
                self.assertEqual(event['Type'], 'container')
                self.assertEqual((event['Actor']['Attributes']['name'], event['Actor']['Attributes']['kind']),
                                 ('brief', 'test'))
            self.diatom('run', '-d', '--name', 'long', 'busybox', 'sh', '-c', FOREVER)
            container = self.inspect('long')['Id']
            self.diatom('exec', 'long', 'true')
            self.diatom('exec', '-d', 'long', 'sh', '-c', 'exit 4')  # whose end nobody waits for
            self.assertEqual([events.next('exec_die')['Actor']['Attributes']['exitCode'] for _ in range(2)], ['0', '4'])
            self.diatom('pause', 'long')
            self.diatom('unpause', 'long')
            self.diatom('rename', 'long', 'longer')
            self.diatom('stop', '-t', '0', 'longer')
            self.diatom('rm', 'longer')
            times = []
            for action in ('pause', 'unpause', 'rename', 'kill', 'die',
                           'destroy'):
                event = events.next(action)
                self.assertEqual(event['Actor']['ID'], container)
                times.append(event['timeNano'])
            self.assertEqual(times, sorted(times))
        # What has happened can be asked for, too.
        everything = [a.split(':')[0] for a in self.actions('--since', '10m', '--filter', f'container={container}')]
        wanted = ['container create', 'container start', 'container pause', 'container unpause', 'container rename',
                  'container kill', 'container die', 'container destroy']
        self.assertEqual([a for a in everything if a in wanted], wanted)
        self.assertEqual(self.actions('--since', '10m', '--filter', 'event=die', '--filter', 'container=longer'),
                         ['container die'])
        self.assertEqual(self.actions('--since', '10m', '--filter', 'label=kind=test', '--filter', 'event=start'),
                         ['container start'])
        self.assertEqual(self.actions('--since', '10m', '--filter', 'label=kind=other'), [])
        self.assertEqual(self.actions('--since', '10m', '--filter', 'type=image'), ['image load'])
        self.assertEqual(self.actions('--since', '0s'), [])
        self.assertIn(b'colour', self.diatom('events', '--filter', 'colour=red', code=1).stderr)

    def test_followers_are_told_of_a_death_and_poll_for_nothing(self):
        self.up('box', FOREVER)
        with EventReader(self, '--filter', 'container=box') as events:
            self.diatom('pause', 'box')
            self.diatom('unpause', 'box')
            events.next('unpause')
            before = cpu_ticks(events.process.pid)
            self.assertEqual(events.more(2.0), b'')
            self.assertEqual(cpu_ticks(events.process.pid), before)
            self.diatom('kill', 'box')
            self.assertEqual(events.next('kill')['Actor']['Attributes']['signal'], '9')
            self.assertEqual(events.next('die')['Actor']['Attributes']['exitCode'], '137')
            events.process.send_signal(signal.SIGINT)
            self.assertEqual(events.process.wait(DEADLINE), 0)


if __name__ == '__main__':
    main()
