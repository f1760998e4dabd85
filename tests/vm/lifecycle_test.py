#!/usr/bin/env python3
"""A container's life, as contract.md has it: create, start, stop, kill, restart, pause, rename, update, rm, and what is
known of it afterwards."""
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'tools'))
import busybox_image  # noqa: E402
from containers import BOUND, ContainerTest, EventReader, Reader  # noqa: E402
from diatom import DEADLINE, main  # noqa: E402

FOREVER = 'sleep 1000'
DEAF = 'trap "" TERM; while :; do sleep 1000; done'


class FromCreateToRemove(ContainerTest):
    def test_one_life(self):
        with tempfile.TemporaryDirectory() as scratch:
            cidfile = pathlib.Path(scratch, 'cid')
            self.diatom('create', '--name', 'web-1', '--cidfile', cidfile, '--label', 'service=web', '--label', 'replica=1',
                        'busybox', 'sh', '-c', f'echo run >> /runs; echo ready; {FOREVER}')
            container = cidfile.read_text()
        self.assertRegex(container, '^[0-9a-f]{64}$')
        info = self.inspect('web-1')
        self.assertEqual((info['Id'], info['State']['Status']), (container, 'created'))
        self.assertEqual(info['Config']['Labels'], {'service': 'web', 'replica': '1'})
        for word in (b'web-1', b'in use'):
            self.assertIn(word, self.diatom('create', '--name', 'web-1', 'busybox', code=1).stderr)
        # What needs one that runs says so; what wants it not to run has what it wants.
        for words in (['kill', 'web-1'], ['pause', 'web-1'], ['unpause', 'web-1'], ['exec', 'web-1', 'true'],
                      ['attach', 'web-1']):
            self.assertNotEqual(self.home.run(*words).returncode, 0, words)
            self.assertIn(b'not running', self.home.run(*words).stderr, words)
        self.assertEqual(self.status('web-1'), 'created')
        self.diatom('stop', 'web-1')

        self.diatom('start', 'web-1')
        self.await_output('web-1', b'ready')
        first = self.state('web-1')
        self.assertEqual((first['Status'], first['Running']), ('running', True))
        self.assertIn(b'running', self.diatom('start', 'web-1', code=1).stderr)
        self.assertIn(b'running', self.diatom('rm', 'web-1', code=1).stderr)
        self.assertEqual(self.status('web-1'), 'running')

        # Names: one that is taken is refused, the old one is free again, and the id stays.
        self.diatom('create', '--name', 'other', 'busybox')
        self.assertIn(b'in use', self.diatom('rename', 'web-1', 'other', code=1).stderr)
        self.diatom('rename', 'web-1', 'no/name', code=1)
        self.diatom('rename', 'web-1', 'web-1', code=1)
        self.diatom('rename', 'web-1', 'web-2')
        self.diatom('rename', 'other', 'web-1')
        self.assertEqual(self.inspect('web-2')['Id'], container)
        self.assertEqual(self.inspect(container[:12])['Name'], '/web-2')

        self.assertLess(self.timed('stop', '-t', '0', 'web-2'), BOUND)
        ended = self.state('web-2')
        self.assertEqual((ended['Status'], ended['ExitCode'], ended['Running'], ended['OOMKilled']),
                         ('exited', 137, False, False))
        self.assertLess(first['StartedAt'], ended['FinishedAt'])
        self.assertRegex(ended['FinishedAt'], r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$')
        self.diatom('stop', 'web-2')  # which is what it is
        self.assertIn(b'not running', self.diatom('kill', 'web-2', code=1).stderr)

        # It starts again, and what it has written is there; what it printed, too.
        self.diatom('start', 'web-2')
        wait = 'while [ $(wc -l < /runs) -lt 2 ]; do sleep 0.05; done; '
        self.assertEqual(self.sh('web-2', wait + 'cat /runs'), 'run\nrun\n')
        self.assertGreater(self.state('web-2')['StartedAt'], first['StartedAt'])
        self.diatom('rm', '-f', 'web-2')
        self.diatom('inspect', container, code=1)
        for words in (['start'], ['stop'], ['rm'], ['wait'], ['logs'], ['kill']):
            self.assertIn(b'there is none', self.diatom(*words, 'web-2', code=1).stderr)
        self.assertEqual([f for f in self.home.files() if container in f], [])

    def test_volumes_are_refused_clearly(self):
        for flag in ('-v', '--volume', '--mount'):
            result = self.diatom('run', '--rm', flag, '/tmp:/tmp', 'busybox', 'true', code=125)
            self.assertIn(b'volume', result.stderr)
        self.assertEqual(self.home.containers(), [])

    def test_what_cannot_be_started_tells_why_and_stays_to_be_looked_at(self):
        for name, program, code in (('missing', '/no/such', 127), ('no-program', '/etc/passwd', 126)):
            result = self.diatom('run', '-d', '--name', name, 'busybox', program, code=code)
            self.assertIn(program.encode(), result.stderr)
            state = self.state(name)
            self.assertEqual((state['Status'], state['ExitCode']), ('failed', code))
            self.assertIn(program, state['Error'])
            self.assertIn(program.encode(), self.diatom('start', name, code=1).stderr)
            self.diatom('start', '-a', name, code=code)
            self.assertEqual(self.wait(name), code)
            self.diatom('rm', name)
        self.diatom('run', '-d', '--rm', 'busybox', '/no/such', code=127)
        self.assertEqual(self.home.containers(), [])

    def test_the_end_of_a_program_is_kept(self):
        self.diatom('run', '-d', '--name', 'three', 'busybox', 'sh', '-c', 'echo out; exit 3')
        self.assertEqual(self.wait('three'), 3)
        state = self.state('three')
        self.assertEqual((state['Status'], state['ExitCode'], state['Error']), ('exited', 3, ''))
        self.assertEqual(self.logs('three'), 'out\n')

    def test_with_rm_a_detached_one_goes_when_it_ends(self):
        self.up('short', FOREVER, '--rm')
        with Reader(self, 'wait', '--condition', 'removed', 'short') as waiter:
            self.await_clients('short', 1)
            self.diatom('kill', '-s', '9', 'short')
            self.assertEqual(waiter.rest(), b'137\n')
        self.assertEqual(self.home.containers(), [])
        self.assertEqual([f for f in self.home.files() if f.startswith('containers/')], [])
        self.assertIn(b'--rm', self.diatom('create', '--rm', '--restart', 'always', 'busybox', code=1).stderr)


class Stopping(ContainerTest):
    def test_a_deaf_program_is_killed_when_its_time_is_over(self):
        self.up('deaf', DEAF)
        took = self.timed('stop', '-t', '2', 'deaf')
        self.assertTrue(2 <= took < 2 + BOUND, took)
        self.assertEqual(self.state('deaf')['ExitCode'], 137)
        self.diatom('start', 'deaf')
        # Who is more in a hurry than the one before need not wait for him.
        with Reader(self, 'stop', '-t', '-1', 'deaf') as patient:
            with EventReader(self, '--filter', 'container=deaf', '--since', '1m') as events:
                self.assertEqual(events.next('kill')['Actor']['Attributes']['signal'], '15')
            self.assertLess(self.timed('stop', '-t', '0', 'deaf'), BOUND)
            self.assertEqual(patient.rest(), b'deaf\n')

    def test_a_timeout_that_cannot_be_meant_is_no_trouble(self):
        self.up('obedient', 'trap "exit 4" TERM; while :; do sleep 0.1; done')
        self.diatom('stop', '-t', '9223372036854775807', 'obedient')
        self.assertEqual(self.state('obedient')['ExitCode'], 4)

    def test_the_container_has_a_signal_and_a_time_of_its_own(self):
        script = 'for s in TERM USR1 HUP; do trap "echo $s; exit 7" $s; done; while :; do sleep 0.1; done'
        self.up('own', script, '--stop-signal', 'SIGUSR1', '--stop-timeout', '3')
        self.diatom('stop', 'own')
        self.assertEqual((self.state('own')['ExitCode'], self.logs('own')), (7, 'ready\nUSR1\n'))
        self.diatom('start', 'own')
        self.await_output('own', b'USR1\nready\n')
        self.diatom('stop', '-s', 'HUP', 'own')
        self.assertTrue(self.logs('own').endswith('HUP\n'))

    def test_the_stop_timeout_of_the_container_is_kept(self):
        self.up('hasty', DEAF, '--stop-timeout', '1')
        took = self.timed('stop', 'hasty')
        self.assertTrue(1 <= took < 1 + BOUND / 2, took)

    def test_the_image_names_its_stop_signal(self):
        self.diatom('image', 'import', '-c', 'STOPSIGNAL SIGUSR2', '-c', 'ENV PATH=/bin', '-', 'polite',
                    stdin=busybox_image.layer())
        script = 'trap "exit 8" USR2; echo ready; while :; do sleep 0.1; done'
        self.diatom('run', '-d', '--name', 'polite', 'polite', 'sh', '-c', script)
        self.await_output('polite', b'ready')
        self.diatom('stop', 'polite')
        self.assertEqual(self.state('polite')['ExitCode'], 8)

    def test_several_at_once_and_one_that_is_not_there(self):
        self.diatom('create', '--name', 'idle', 'busybox')
        result = self.diatom('stop', 'idle', 'nobody', 'idle', code=1)
        self.assertEqual(result.stdout, b'idle\nidle\n')
        self.assertIn(b'nobody', result.stderr)

    def test_it_comes_while_the_guest_boots(self):
        process = self.home.popen('run', '-d', '--name', 'young', 'busybox', 'sh', '-c', FOREVER, env={'DIATOM_TRACE': '1'},
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        while b'vmm' not in process.stderr.readline():
            self.assertIsNone(process.poll())
        self.assertEqual(self.status('young'), 'starting')
        self.assertLess(self.timed('stop', 'young'), BOUND)
        self.assertIn(b'stopped', process.stderr.read())
        process.stderr.close()
        self.assertNotEqual(process.wait(DEADLINE), 0)
        self.assertIn(self.status('young'), ('exited', 'failed'))
        self.diatom('start', 'young')
        self.assertEqual(self.status('young'), 'running')


class Signals(ContainerTest):
    def test_kill(self):
        script = 'trap "echo one" USR1; trap "exit 12" 36; while :; do sleep 0.1; done'
        self.up('target', script)
        for word in ('NOPE', 'SIG', '0', '65', '-1', '1x', 'SIGSIGTERM'):
            result = self.diatom('kill', '-s', word, 'target', code=1)
            self.assertIn(word.encode(), result.stderr)
        with Reader(self, 'logs', '-f', 'target') as log:
            for spelling in ('USR1', 'SIGUSR1', '10', 'sigusr1'):
                log.seen = b''
                self.diatom('kill', '-s', spelling, 'target')
                log.until(b'one\n')
            self.diatom('kill', '--signal=RTMIN+2', 'target')  # which ends it
            log.rest()
        self.assertEqual(self.wait('target'), 12)
        self.diatom('kill', '-s', 'NOPE', 'target', code=1)
        self.diatom('start', 'target')
        self.diatom('kill', 'target')
        self.assertEqual(self.wait('target'), 137)
        state = self.state('target')
        self.assertEqual((state['Signal'], state['OOMKilled']), (9, False))

    def test_init_passes_signals_on_and_reaps(self):
        script = 'trap "exit 9" TERM; (sleep 0.1 &) ; echo "pid $$"; while :; do sleep 0.1; done'
        self.up('tini', script, '--init')
        self.assertRegex(self.logs('tini'), r'pid ([2-9]|\d\d+)\n')
        orphans = 'for p in /proc/[0-9]*; do grep -q "^State:.Z" $p/status 2>/dev/null && echo $p; done; true'
        # The orphan has ended before this one has: nobody else would reap it.
        self.assertEqual(self.sh('tini', f'(exec sleep 0) & wait; (sleep 0 &); sleep 0.3; {orphans}'), '')
        self.diatom('stop', 'tini')
        self.assertEqual(self.state('tini')['ExitCode'], 9)


class Pausing(ContainerTest):
    def test_everything_stands_still(self):
        self.up('ticker', 'n=0; while :; do n=$((n+1)); echo $n; sleep 0.05; done')
        self.diatom('unpause', 'ticker', code=1)
        with Reader(self, 'logs', '-f', 'ticker') as log:
            log.until(b'\n5\n')
            self.diatom('pause', 'ticker')
            # What was on its way has come when nothing more does.
            while log.more(0.5):
                pass
            seen = log.seen
            self.assertEqual(log.more(1.0), b'')
            self.assertEqual(self.status('ticker'), 'paused')
            self.assertIn(b'ticker', self.diatom('ps').stdout)
            self.assertIn(b'paused', self.diatom('pause', 'ticker', code=1).stderr)
            for words in (['exec', 'ticker', 'true'], ['attach', 'ticker'], ['start', 'ticker'], ['rm', 'ticker']):
                result = self.home.run(*words)
                self.assertNotEqual(result.returncode, 0, words)
                self.assertRegex(result.stderr, b'paused|running', words)
            self.diatom('unpause', 'ticker')
            last = int(seen.split()[-1])
            log.until(b'\n%d\n' % (last + 3))  # and no count is missing
        numbers = self.logs('ticker').split()[1:]
        self.assertEqual(numbers, [str(n) for n in range(1, len(numbers) + 1)])
        self.assertEqual(self.status('ticker'), 'running')

    def test_what_ends_a_container_ends_a_paused_one(self):
        self.up('frozen', 'trap "exit 5" TERM; while :; do sleep 0.1; done')
        self.diatom('pause', 'frozen')
        self.assertLess(self.timed('stop', 'frozen'), BOUND)
        self.assertEqual(self.state('frozen')['ExitCode'], 5)
        self.diatom('start', 'frozen')
        self.diatom('pause', 'frozen')
        self.diatom('kill', 'frozen')
        self.assertEqual(self.wait('frozen'), 137)
        self.diatom('start', 'frozen')
        self.diatom('pause', 'frozen')
        self.assertLess(self.timed('stop', '-t', '0', 'frozen'), BOUND)
        self.diatom('start', 'frozen')
        self.diatom('pause', 'frozen')
        self.diatom('restart', '-t', '0', 'frozen')
        self.assertEqual(self.status('frozen'), 'running')
        self.diatom('pause', 'frozen')
        self.diatom('rm', '-f', 'frozen')


class Restarting(ContainerTest):
    def runs(self, name: str) -> int:
        return self.logs(name).count('run\n')

    def test_on_failure_tries_as_often_as_it_was_told(self):
        self.diatom('run', '-d', '--name', 'failing', '--restart', 'on-failure:2', 'busybox', 'sh', '-c', 'echo run; exit 3')
        for _ in range(3):
            self.assertEqual(self.wait('failing'), 3)
        state = self.inspect('failing')
        self.assertEqual((state['State']['Status'], state['State']['ExitCode']), ('exited', 3))
        self.assertEqual(state['RestartCount'], 2)
        self.assertEqual(self.runs('failing'), 3)

    def test_on_failure_leaves_a_success_alone(self):
        self.diatom('run', '-d', '--name', 'fine', '--restart', 'on-failure', 'busybox', 'sh', '-c', 'echo run')
        self.assertEqual(self.wait('fine'), 0)
        self.assertEqual((self.status('fine'), self.runs('fine')), ('exited', 1))

    def test_always_goes_on_until_it_is_stopped(self):
        with EventReader(self, '--filter', 'container=again') as events:
            self.diatom('run', '-d', '--name', 'again', '--restart', 'always', 'busybox', 'sh', '-c', 'echo run; read x')
            for _ in range(2):
                events.next('start')
                events.next('die')
            # Just now it waits to be run again, or is.
            self.assertLess(self.timed('stop', 'again'), BOUND)
        runs = self.runs('again')
        self.assertGreaterEqual(runs, 2)
        self.assertIn(self.status('again'), ('exited', 'failed'))
        self.assertEqual(self.home.run('ps', '-q').stdout, b'')
        # The policy can be taken back, too.
        self.diatom('start', 'again')
        self.diatom('update', '--restart', 'no', 'again')
        with Reader(self, 'logs', '-f', 'again') as log:
            log.rest()  # ends: there is no further run
        self.assertEqual(self.status('again'), 'exited')

    def test_by_hand(self):
        self.up('box', f'trap "exit 6" TERM; echo run >> /runs; while :; do sleep 0.1; done', '--restart',
                'unless-stopped')
        before = self.inspect('box')
        self.diatom('restart', 'box')
        after = self.inspect('box')
        self.assertEqual((after['State']['Status'], after['RestartCount']), ('running', 0))
        self.assertGreater(after['State']['StartedAt'], before['State']['StartedAt'])
        # It runs again, which does not mean that it has come that far.
        self.assertEqual(self.sh('box', 'until [ $(wc -l </runs) -ge 2 ]; do sleep 0.1; done; cat /runs'),
                         'run\nrun\n')
        self.diatom('kill', 'box')
        self.assertEqual(self.wait('box'), 137)  # by hand: it stays so
        self.assertEqual(self.status('box'), 'exited')
        self.diatom('restart', '-t', '0', 'box')
        self.assertEqual(self.status('box'), 'running')
        # The program's own death is another matter.
        self.sh('box', 'until [ $(wc -l </runs) -ge 3 ]; do sleep 0.1; done')  # it listens to the signal
        with EventReader(self, '--filter', 'container=box') as events:
            self.sh('box', 'kill -TERM 1')
            self.assertEqual(events.next('die')['Actor']['Attributes']['exitCode'], '6')
            events.next('start')
        self.assertEqual(self.inspect('box')['RestartCount'], 1)

    def test_a_stop_and_a_restart_at_once_both_come_to_an_end(self):
        self.up('torn', DEAF)
        with Reader(self, 'stop', '-t', '3', 'torn', stderr=subprocess.PIPE) as stop, \
                EventReader(self, '--filter', 'container=torn', '--since', '1m') as events:
            events.next('kill')
            self.home.run('restart', '-t', '0', 'torn')
            stop.process.wait(DEADLINE)
        self.assertIn(self.status('torn'), ('running', 'exited'))

    def test_policies_are_named_well(self):
        for word in ('sometimes', 'on-failure:x', 'always:3', ''):
            self.assertEqual(self.home.run('create', '--restart', word, 'busybox').returncode, 0 if not word else 1, word)


class Updating(ContainerTest):
    def test_limits_hold_at_once(self):
        self.up('box', FOREVER, '--pids-limit', '50', '-m', '256m')
        limits = 'cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max'
        pids, memory, *_ = self.sh('box', limits).split()
        self.assertEqual(pids, '50')
        self.assertLessEqual(int(memory), 256 << 20)  # the guest's kernel needs some of it
        self.diatom('update', '--pids-limit', '60', '-m', '150m', '--cpus', '0.5', 'box')
        self.assertEqual(self.sh('box', limits).split(), ['60', str(150 << 20), '50000', '100000'])
        result = self.diatom('update', '-m', '300m', 'box')
        self.assertIn(b'next start', result.stderr)
        for words in (['--cpus', '0'], ['-m', '1q'], ['--restart', 'maybe'], []):
            self.assertNotEqual(self.home.run('update', *words, 'box').returncode, 0, words)
        self.diatom('restart', '-t', '0', 'box')
        pids, more, *cpu = self.sh('box', limits).split()
        self.assertEqual((pids, cpu), ('60', ['50000', '100000']))
        self.assertGreater(int(more), int(memory))
        self.diatom('stop', '-t', '0', 'box')
        self.diatom('update', '--pids-limit', '-1', 'box')
        self.diatom('start', 'box')
        self.assertEqual(self.sh('box', limits).split()[0], 'max')


class Health(ContainerTest):
    def test_healthy_and_then_not(self):
        with EventReader(self, '--filter', 'event=health_status') as events:
            self.up('patient', 'touch /tmp/well; ' + FOREVER, '--health-cmd', 'cat /tmp/well && echo checked',
                    '--health-interval', '500ms', '--health-retries', '2')
            self.assertIn(self.state('patient')['Health']['Status'], ('starting', 'healthy'))
            self.assertEqual(events.next('health_status')['Action'], 'health_status: healthy')
            health = self.state('patient')['Health']
            self.assertEqual((health['Status'], health['FailingStreak']), ('healthy', 0))
            self.assertEqual((health['Log'][-1]['ExitCode'], health['Log'][-1]['Output']), (0, 'checked\n'))
            self.assertIn(b'(healthy)', self.diatom('ps').stdout)
            self.sh('patient', 'rm /tmp/well')
            self.assertEqual(events.next('health_status')['Action'], 'health_status: unhealthy')
            health = self.state('patient')['Health']
            self.assertEqual(health['Status'], 'unhealthy')
            self.assertGreaterEqual(health['FailingStreak'], 2)
            self.assertIn(b'(unhealthy)', self.diatom('ps').stdout)
            self.assertIn('/tmp/well', health['Log'][-1]['Output'])
            self.assertLessEqual(len(health['Log']), 5)
            self.sh('patient', 'touch /tmp/well')
            self.assertEqual(events.next('health_status')['Action'], 'health_status: healthy')

    def test_one_that_takes_too_long_has_failed(self):
        with EventReader(self, '--filter', 'event=health_status') as events:
            self.up('slow', FOREVER, '--health-cmd', 'exec sleep 1000', '--health-interval', '200ms', '--health-timeout',
                    '1s', '--health-retries', '1')
            self.assertEqual(events.next('health_status')['Action'], 'health_status: unhealthy')
        self.diatom('exec', 'slow', 'true')  # and nothing is stuck


class Confinement(ContainerTest):
    def test_limits_and_settings_reach_the_program(self):
        self.up('strict', FOREVER, '--ulimit', 'nofile=100:200', '--sysctl', 'net.core.somaxconn=77', '--shm-size', '8m',
                '--pids-limit', '30', '--cap-drop', 'CHOWN', '--cap-add', 'NET_ADMIN')
        self.assertEqual(self.sh('strict', 'ulimit -Sn; ulimit -Hn').split(), ['100', '200'])
        self.assertEqual(self.sh('strict', 'cat /proc/sys/net/core/somaxconn').strip(), '77')
        self.assertEqual(self.sh('strict', 'df -k /dev/shm | tail -1').split()[1], '8192')
        self.assertIn('not permitted', self.sh('strict', 'touch /tmp/f; chown 5 /tmp/f 2>&1', code=1))
        self.sh('strict', 'ip link set lo down && ip link set lo up')
        forks = 'i=0; while [ $i -lt 60 ]; do sleep 5 & i=$((i+1)); done'
        self.assertNotEqual(self.home.run('exec', 'strict', 'sh', '-c', forks).returncode, 0)
        for words in (['--ulimit', 'nofile'], ['--ulimit', 'nofile=9:5'], ['--sysctl', 'kernel'],
                      ['--shm-size', 'much'], ['--stop-signal', 'NOPE']):
            result = self.home.run('create', *words, 'busybox')
            self.assertEqual(result.returncode, 1, (words, result.stdout))

    def test_what_the_guest_does_not_know_is_named(self):
        for words in (['--ulimit', 'nonsense=1'], ['--cap-add', 'FLY']):
            result = self.diatom('run', '--rm', *words, 'busybox', 'true', code=125)
            self.assertIn(words[1].split('=')[0].encode(), result.stderr)

    def test_privileged_may_do_everything_in_its_guest(self):
        script = 'grep CapEff /proc/self/status; mount -t tmpfs none /mnt 2>&1 && echo mounted'
        self.assertIn('mounted', self.guest('mkdir -p /mnt; ' + script, '--privileged'))
        self.assertNotIn('mounted', self.guest('mkdir -p /mnt; ' + script, code=1))

    def test_out_of_memory(self):
        self.diatom('run', '-d', '--name', 'hungry', '-m', '128m', 'busybox', 'sh', '-c', 'exec tail /dev/zero')
        self.assertEqual(self.wait('hungry'), 137)
        self.assertEqual(self.state('hungry')['OOMKilled'], True)


if __name__ == '__main__':
    main()
