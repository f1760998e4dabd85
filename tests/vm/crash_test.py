#!/usr/bin/env python3
"""kill -9 of whoever takes part in a container's life, at each step of it: what the next look says is true, and works."""
import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from crash import CrashTest, Victim, monitor_of, until, vm_of, vms_of  # noqa: E402
from diatom import DEADLINE, Home, main  # noqa: E402

QUIET = {'stdin': subprocess.DEVNULL, 'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL}
SLEEP = 'echo up; exec sleep 1000'
DEAF = 'trap "" TERM; echo up; while :; do sleep 1000; done'


class KilledMonitor(CrashTest):
    def test_while_it_runs(self):
        container = self.run_detached('victim', 'echo before; [ -e /data ] || echo kept > /data; sync; echo synced; exec sleep 1000')
        self.await_log('victim', 'synced')
        waiting = self.home.popen('wait', 'victim', stdout=subprocess.PIPE)
        attached = self.home.popen('attach', '--no-stdin', 'victim', stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.diatom('exec', 'victim', 'true')  # by then both are there, or come to a dead one: the same is to be said
        self.kill_monitor(container)
        self.assertEqual(waiting.communicate(timeout=DEADLINE)[0], b'137\n')
        _, words = attached.communicate(timeout=DEADLINE)
        self.assertNotEqual(attached.returncode, 0)
        self.assertRegex(words, b'diatom: .+')
        self.assert_dead('victim')
        self.assertEqual(self.diatom('logs', 'victim').stdout, b'before\nsynced\n')
        for verb in ('exec victim true', 'pause victim', 'kill victim'):
            self.assertIn(b'not running', self.diatom(*verb.split(), code=1).stderr)
        self.diatom('stop', 'victim')  # what is over has been stopped
        self.diatom('start', 'victim')
        self.assertEqual(self.diatom('exec', 'victim', 'cat', '/data').stdout, b'kept\n')
        self.diatom('rm', '-f', 'victim')
        self.assert_gone(container)

    def test_while_it_starts(self):
        container = self.create('starting', SLEEP)
        starter = self.home.popen('start', 'starting', stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.await_status('starting', 'starting')
        self.kill_monitor(container)
        _, words = starter.communicate(timeout=DEADLINE)
        self.assertEqual(starter.returncode, 1)
        self.assertIn(b'it has gone', words)
        self.assert_dead('starting', status='failed')
        self.assert_goes('starting', container)

    def test_while_it_is_paused_or_stopping(self):
        container = self.run_detached('held', DEAF)
        self.await_log('held', 'up')
        self.diatom('pause', 'held')
        self.kill_monitor(container)
        self.assert_dead('held')
        self.diatom('start', 'held')
        until(lambda: self.diatom('logs', 'held').stdout.count(b'up') == 2, 'it is up again')
        stopper = self.home.popen('stop', '-t', '1000', 'held', **QUIET)
        self.await_status('held', 'stopping')
        self.kill_monitor(container)
        self.assertEqual(stopper.wait(DEADLINE), 0)
        self.assert_dead('held')
        self.assert_goes('held', container)

    def test_between_two_runs(self):
        container = self.run_detached('again', 'exit 3', '--restart', 'always')
        monitor = monitor_of(self.home, container)
        while True:  # it must stand still in between to be killed there for sure
            self.await_status('again', 'restarting')
            monitor.kill(signal.SIGSTOP)
            if self.status('again') == 'restarting':
                break
            monitor.kill(signal.SIGCONT)
        self.kill(monitor)
        self.assert_dead('again', code=3)
        self.assert_goes('again', container)

    def test_with_rm_leaves_nothing_to_the_next_look(self):
        container = self.run_detached('passing', SLEEP, '--rm')
        self.kill_monitor(container)
        self.assert_gone(container)


class KilledVm(CrashTest):
    def test_at_each_step(self):
        container = self.create('vm', DEAF)
        for step in ('starting', 'running', 'paused', 'stopping'):
            with self.subTest(step):
                before = self.diatom('logs', 'vm').stdout.count(b'up')
                helper = self.home.popen('start', 'vm', **QUIET)
                if step == 'starting':
                    self.await_status('vm', 'starting')
                else:
                    self.assertEqual(helper.wait(DEADLINE), 0)
                    until(lambda: self.diatom('logs', 'vm').stdout.count(b'up') > before, 'it is up')
                if step == 'paused':
                    self.diatom('pause', 'vm')
                if step == 'stopping':
                    helper = self.home.popen('stop', '-t', '1000', 'vm', **QUIET)
                    self.await_status('vm', 'stopping')
                self.kill(until(lambda: vm_of(container), 'there is a VM'))
                helper.wait(DEADLINE)
                self.diatom('wait', 'vm')
                self.assert_dead('vm', code=125 if step == 'starting' else 137, status='failed' if step == 'starting' else 'exited',
                                 error='its VM ended unexpectedly')
        self.assert_goes('vm', container)

    def test_limits_that_were_on_their_way_to_it_are_the_next_ones(self):
        container = self.create('vm', DEAF)
        self.diatom('start', 'vm')
        vm = until(lambda: vm_of(container), 'there is a VM')
        vm.kill(signal.SIGSTOP)
        update = self.home.popen('update', '--pids-limit', '77', 'vm', **QUIET)
        until(lambda: self.home.json('inspect', 'vm')[0]['HostConfig']['PidsLimit'] == 77, 'it is recorded')
        self.kill(vm)
        self.assertEqual(update.wait(DEADLINE), 0)
        self.diatom('wait', 'vm')
        self.diatom('start', 'vm')
        self.assertEqual(self.diatom('exec', 'vm', 'cat', '/sys/fs/cgroup/pids.max').stdout, b'77\n')
        self.diatom('stop', '-t', '0', 'vm')
        self.assert_goes('vm', container)

    def test_its_files_are_whole_though_some_were_half_written(self):
        # Dirty pages leave for the disk all the time, and in no order.
        script = ('for f in expire writeback; do echo 1 > /proc/sys/vm/dirty_${f}_centisecs; done; i=0; ls -R /many >/dev/null 2>&1; '
                  'echo up; while :; do mkdir -p /many/$i; echo $i > /many/$i/f; i=$((i+1)); '
                  '[ $i = 100 ] && sync; [ $i = 200 ] && echo many; done')
        container = self.create('many', script, '--privileged')
        for run in (1, 2, 3):
            self.diatom('start', 'many')
            until(lambda run=run: self.diatom('logs', 'many').stdout.count(b'many\n') == run, 'it has made many files')
            self.kill(until(lambda: vm_of(container), 'there is a VM'))
            self.diatom('wait', 'many')
        self.diatom('cp', 'many:/many', self.home.path / 'many')
        self.assertNotIn(b'needs cleaning', self.diatom('logs', 'many').stderr)
        self.assert_goes('many', container)

    def test_everything_at_once(self):
        container = self.create('all', SLEEP)
        client = self.home.popen('start', '-a', 'all', **QUIET)
        self.await_log('all', 'up')
        # The monitor first: it must not live to tell of its VM's end.
        victims = [monitor_of(self.home, container), vm_of(container), Victim(client.pid)]
        for victim in victims:
            victim.kill()
        client.wait(DEADLINE)
        for victim in victims:
            self.assertTrue(victim.ended(5))
        self.assert_dead('all')
        self.assert_goes('all', container)


class KilledClient(CrashTest):
    def test_of_a_run_leaves_the_container_running(self):
        client = self.home.popen('run', '--name', 'orphan', 'busybox', 'sh', '-c', 'echo up; read x; sleep 1000',
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.addCleanup(self.home.run, 'rm', '-f', 'orphan')
        self.assertEqual(client.stdout.readline(), b'up\n')
        self.kill(Victim(client.pid))
        client.stdout.close()
        client.wait(DEADLINE)
        self.assertEqual(self.status('orphan'), 'running')
        self.assertEqual(self.diatom('exec', 'orphan', 'echo', 'alive').stdout, b'alive\n')
        for words in (['exec', 'orphan', 'sleep', '1000'], ['stop', '-t', '0', 'orphan'], ['wait', 'orphan']):
            other = self.home.popen(*words, **QUIET)
            other.kill()
            other.wait(DEADLINE)
        self.diatom('stop', '-t', '0', 'orphan')
        self.assertEqual(self.state('orphan')['ExitCode'], 137)
        self.diatom('rm', 'orphan')

    def test_of_a_start_at_any_moment_leaves_what_is_true(self):
        container = self.create('maybe', SLEEP)
        for delay_ms in (0, 5, 10, 20, 40, 80, 200):
            client = self.home.popen('start', 'maybe', **QUIET)
            victim = Victim(client.pid)
            victim.ended(delay_ms / 1000)
            self.kill(victim)
            client.wait(DEADLINE)
            status = self.status('maybe')
            self.assertIn(status, ('created', 'exited', 'failed', 'starting', 'running'))
            self.diatom('rm', '-f', 'maybe')
            self.assert_gone(container)
            container = self.create('maybe', SLEEP)

    def test_of_a_removal_at_any_moment_removes_or_keeps_it_whole(self):
        for delay_ms in range(0, 40, 4):
            container = self.create('going', 'true')
            client = self.home.popen('rm', 'going', **QUIET)
            victim = Victim(client.pid)
            victim.ended(delay_ms / 1000)
            self.kill(victim)
            client.wait(DEADLINE)
            names = self.diatom('ps', '-a', '--format', '{{.Names}}').stdout.decode().split()
            if 'going' in names:
                self.diatom('start', '-a', 'going')
                self.diatom('rm', 'going')
            self.assert_gone(container)


class AtTheSameMoment(CrashTest):
    def test_of_many_starts_one_wins(self):
        container = self.create('one', SLEEP)
        starts = [self.home.popen('start', 'one', stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE) for _ in range(20)]
        words = [start.communicate(timeout=DEADLINE)[1] for start in starts]
        self.assertEqual(sorted(start.returncode for start in starts), [0] + [1] * 19)
        for text in filter(None, words):
            self.assertIn(b'it is running', text)
        self.assertEqual(len(vms_of(container)), 1)
        self.kill(monitor_of(self.home, container))
        looks = [self.home.popen('inspect', 'one', stdout=subprocess.PIPE) for _ in range(20)]
        for look in looks:
            self.assertIn(b'"exited"', look.communicate(timeout=DEADLINE)[0])
        self.assert_goes('one', container)

    def test_a_start_and_a_removal_end_in_one_of_two_ways(self):
        for force in ([], ['-f']):
            container = self.create('torn', SLEEP)
            start = self.home.popen('start', 'torn', **QUIET)
            removal = self.home.popen('rm', *force, 'torn', **QUIET)
            removed, started = removal.wait(DEADLINE) == 0, start.wait(DEADLINE) == 0
            if force:
                self.assertTrue(removed)
            self.assertNotEqual(removed, started) if not force else None
            if not removed:
                self.diatom('rm', '-f', 'torn')
            self.assert_gone(container)


class BadPlaces(CrashTest):
    def refused(self, name: str, word: bytes, env: dict):
        result = self.diatom('start', name, code=1, env=env)
        self.assertIn(word, result.stderr)
        self.assertEqual(self.status(name), 'created')

    def test_a_start_says_what_is_wrong_with_the_run_folder(self):
        container = self.create('placed', SLEEP)
        (self.home.path / 'file').write_text('')
        self.refused('placed', b'DIATOM_RUN', {'DIATOM_RUN': str(self.home.path / ('x' * 100))})
        self.refused('placed', b'Not a directory', {'DIATOM_RUN': str(self.home.path / 'file/run')})
        self.assert_goes('placed', container)

    def test_a_run_folder_that_is_swept_away_loses_no_container(self):
        container = self.run_detached('swept', SLEEP)
        (self.home.path / 'run' / f'{container[:20]}.sock').unlink()
        self.assertIn(b'DIATOM_RUN', self.diatom('exec', 'swept', 'true', code=1).stderr)
        self.assertEqual(self.status('swept'), 'running')
        self.diatom('rm', '-f', 'swept')
        self.assert_gone(container)

    def test_on_a_full_disk_an_exit_code_is_kept_and_nothing_runs_unrecorded(self):
        if os.getuid() != 0:
            self.skipTest('needs root, to mount a small tmpfs')
        with contextlib.ExitStack() as stack:  # the last is undone first
            small = stack.enter_context(tempfile.TemporaryDirectory(prefix='diatom-small-'))
            subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', small], check=True)
            stack.callback(subprocess.run, ['umount', '--lazy', small])
            filler = stack.enter_context(open(pathlib.Path(small, 'filler'), 'wb', buffering=0))
            home = stack.enter_context(Home(directory=small))
            stack.callback(home.run, 'rm', '-f', 'full')
            start = home.run('run', '-d', '-i', '--name', 'full', 'busybox', 'sh', '-c', 'trap "exit 5" TERM; echo up; '
                             'while :; do sleep 0.2; done')
            self.assertEqual(start.returncode, 0, start.stderr)
            until(lambda: home.run('logs', 'full').stdout == b'up\n', 'it is up')
            try:
                while True:
                    filler.write(b'\0' * 4096)
            except OSError:
                pass
            self.assertEqual(home.run('stop', 'full').returncode, 0)
            self.assertEqual(home.run('wait', 'full').stdout, b'5\n')
            home.run('start', 'full')
            container = start.stdout.decode().strip()
            running = home.json('inspect', 'full')[0]['State']['Running']
            self.assertEqual(running, bool(vms_of(container)))
            self.assertEqual(home.run('rm', '-f', 'full').returncode, 0)
            self.assertEqual(vms_of(container), [])


if __name__ == '__main__':
    main()
