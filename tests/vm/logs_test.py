#!/usr/bin/env python3
"""What a program has printed: kept apart, stamped, byte for byte, rotated, and followed to its end."""
import hashlib
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from containers import ContainerTest, Reader  # noqa: E402
from diatom import DEADLINE, main  # noqa: E402

STAMP = r'(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) '


class Logs(ContainerTest):
    def ran(self, name: str, script: str, *options):
        self.diatom('run', '-d', '--name', name, *options, 'busybox', 'sh', '-c', script)
        self.wait(name)

    def test_of_one_that_has_ended(self):
        self.ran('dead', 'echo one; echo two >&2; sleep 0.1; echo three; sleep 0.1; printf partial')
        result = self.diatom('logs', 'dead')
        self.assertEqual((result.stdout, result.stderr), (b'one\nthree\npartial', b'two\n'))
        self.assertEqual(self.diatom('logs', '-f', 'dead').stdout, b'one\nthree\npartial')
        for words, expected in ((['--tail', '0'], b''), (['-n', '1'], b'partial'), (['--tail', '2'], b'three\npartial'),
                                (['--tail', '99'], b'one\nthree\npartial'), (['--tail', 'all'], b'one\nthree\npartial')):
            self.assertEqual(self.diatom('logs', *words, 'dead').stdout, expected, words)
        for words in (['--tail', 'x'], ['--tail', '1.5'], ['--since', 'yesterday-ish'], ['--until', 'x']):
            self.assertIn(words[1].encode(), self.diatom('logs', *words, 'dead', code=1).stderr)
        # Times: those that are printed are those that can be asked for.
        lines = self.logs('dead', '-t').splitlines()
        stamps = [re.match(STAMP + '(one|three|partial)$', line).group(1) for line in lines]
        self.assertEqual(len(stamps), 3)
        self.assertEqual(stamps, sorted(stamps))
        self.assertEqual(self.logs('dead', '--since', stamps[1]), 'three\npartial')
        self.assertEqual(self.logs('dead', '--until', stamps[1]), 'one\n')
        self.assertEqual(self.logs('dead', '--since', stamps[1], '--until', stamps[2]), 'three\n')
        self.assertEqual(self.logs('dead', '--since', '1h'), 'one\nthree\npartial')
        self.assertEqual(self.logs('dead', '--until', '1h'), '')
        self.assertLessEqual(self.state('dead')['StartedAt'], stamps[0])
        self.diatom('rm', 'dead')
        self.assertIn(b'there is none', self.diatom('logs', 'dead', code=1).stderr)
        self.assertIn(b'there is none', self.diatom('logs', '-f', 'dead', code=1).stderr)

    def test_of_one_that_never_ran(self):
        self.diatom('create', '--name', 'new', 'busybox')
        self.assertEqual(self.logs('new'), '')
        self.assertEqual(self.logs('new', '-f'), '')
        self.ran('quiet', 'true')
        self.assertEqual(self.logs('quiet'), '')

    def test_every_byte_is_kept(self):
        script = 'i=0; while [ $i -lt 256 ]; do printf "\\\\$(printf %o $i)"; i=$((i+1)); done; printf "\\r\\n\\0\\n\\n"; ' \
                 'head -c 300000 /dev/zero; echo'
        self.ran('bytes', script)
        self.assertEqual(self.diatom('logs', 'bytes').stdout, bytes(range(256)) + b'\r\n\0\n\n' + bytes(300000) + b'\n')
        self.assertEqual(self.diatom('logs', '-n', '1', 'bytes').stdout, bytes(300000) + b'\n')

    def test_a_terminal_has_one_stream(self):
        self.ran('tty', 'echo out; echo err >&2', '-t')
        result = self.diatom('logs', 'tty')
        self.assertEqual((result.stdout, result.stderr), (b'out\r\nerr\r\n', b''))

    def test_they_are_rotated_by_size(self):
        self.ran('much', 'seq 100000 199999', '--log-opt', 'max-size=100k', '--log-opt', 'max-file=3')
        folder = pathlib.Path(self.home.path, 'home', 'containers', self.inspect('much')['Id'])
        files = [f for f in folder.iterdir() if f.name.startswith('container.log')]
        self.assertEqual(len(files), 3)
        self.assertLess(sum(f.stat().st_size for f in files), 3 * 110 * 1024)
        lines = self.logs('much').split()[1:]  # the oldest file may begin in the middle of a line
        self.assertEqual(lines, [str(n) for n in range(200000 - len(lines), 200000)])
        self.assertGreater(len(lines), 1000)
        self.assertEqual(self.logs('much', '-n', '2'), '199998\n199999\n')
        for option in ('max-size=x', 'max-file=0', 'compress=yes'):
            self.diatom('create', '--log-opt', option, 'busybox', code=1)
        self.diatom('create', '--log-driver', 'syslog', 'busybox', code=1)


class Following(ContainerTest):
    def test_both_streams_as_they_come_until_the_end(self):
        self.up('box', 'while read line; do echo "out $line"; echo "err $line" >&2; done; printf last', '-i')
        with Reader(self, 'logs', '-f', '--tail', '1', 'box', stderr=subprocess.PIPE) as log, \
                Reader(self, 'logs', '-f', '-t', 'box', stderr=subprocess.DEVNULL) as stamped, \
                Reader(self, 'attach', 'box', stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as attached:
            log.until(b'ready\n')  # it has begun: what comes from here on, it follows
            for number in range(20):
                attached.process.stdin.write(b'%d\n' % number)
                log.until(b'out %d\n' % number)  # now, not when there is more
                stamped.until(b'out %d\n' % number)
            self.sh('box', 'kill -9 1; true')
            self.diatom('stop', '-t', '0', 'box')
            out = b''.join(b'out %d\n' % n for n in range(20))
            self.assertEqual(log.rest(), b'ready\n' + out)
            self.assertEqual(log.process.wait(DEADLINE), 0)
            self.assertEqual(log.process.stderr.read(), out.replace(b'out', b'err'))
            lines = stamped.rest().decode().splitlines()
            self.assertTrue(all(re.match(STAMP + '(ready|out )', line) for line in lines), lines)

    def test_it_can_be_left_and_goes_on_until_a_time(self):
        self.up('box', 'while :; do echo tick; sleep 0.1; done')
        with Reader(self, 'logs', '-f', 'box') as log:
            log.until(b'tick\ntick\n')
            log.process.terminate()
            log.process.wait(DEADLINE)
        self.assertEqual(self.status('box'), 'running')
        (stamp, *_) = self.logs('box', '-t', '-n', '1').split()
        year = int(stamp[:4])
        with Reader(self, 'logs', '-f', '--until', stamp.replace(str(year), str(year - 1), 1), 'box') as log:
            self.assertEqual(log.rest(), b'')

    def test_across_a_restart(self):
        self.up('box', 'while :; do sleep 0.1; done', '--log-opt', 'max-size=512k', '--log-opt', 'max-file=9')
        with Reader(self, 'logs', '-f', 'box') as log:
            log.until(b'ready\n')
            self.diatom('restart', '-t', '0', 'box')
            log.until(b'ready\nready\n')
            # And from file to file: what the next run prints fills several.
            self.sh('box', 'seq 100000 119999 > /proc/1/fd/1')
            log.until(b'119999\n')
            self.diatom('stop', '-t', '0', 'box')
            self.assertEqual(log.rest(), b'ready\nready\n' + b''.join(b'%d\n' % n for n in range(100000, 120000)))
            self.assertEqual(log.process.wait(DEADLINE), 0)
        with Reader(self, 'logs', '-f', 'box') as log:
            self.assertTrue(log.rest().endswith(b'119999\n'))

    def test_ends_when_it_is_removed_or_its_monitor_is_killed(self):
        for kill in (['rm', '-f', 'box'], None):
            self.up('box', 'while :; do sleep 0.1; done')
            with Reader(self, 'logs', '-f', 'box') as log:
                log.until(b'ready\n')
                if kill:
                    self.diatom(*kill)
                else:
                    self.kill_monitor('box')
                self.assertEqual(log.rest(), b'ready\n')
        self.assertEqual(self.logs('box'), 'ready\n')

    def test_of_one_that_goes_when_it_ends_nothing_is_missing(self):
        self.up('box', 'trap "seq 1000; printf end; exit" USR1; while :; do sleep 0.1; done', '--rm')
        with Reader(self, 'logs', '-f', 'box') as log:
            log.until(b'ready\n')
            self.diatom('kill', '-s', 'USR1', 'box')
            self.assertEqual(log.rest(), b'ready\n' + b''.join(b'%d\n' % n for n in range(1, 1001)) + b'end')

    def kill_monitor(self, name: str):
        lock = pathlib.Path(self.home.path, 'home', 'containers', self.inspect(name)['Id'], 'lock')
        subprocess.run(['kill', '-9', lock.read_text()], check=True)

    def test_a_gigabyte_is_not_needed_to_see_that_nothing_is_lost(self):
        self.up('box', 'read line; seq 1000000 2999999; read line', '-i')
        with Reader(self, 'logs', '-f', 'box') as log, Reader(self, 'attach', 'box', stdin=subprocess.PIPE) as attached:
            attached.process.stdin.write(b'go\n')
            while attached.more() and b'2999999\n' not in attached.seen[-100:]:
                pass
            attached.process.stdin.write(b'end\n')
            expected = b''.join(b'%d\n' % n for n in range(1000000, 3000000))
            for reader, head in ((log, b'ready\n'), (attached, b'')):
                self.assertEqual(hashlib.sha256(reader.rest()).digest(), hashlib.sha256(head + expected).digest())
                self.assertEqual(reader.process.wait(DEADLINE), 0)


if __name__ == '__main__':
    main()
