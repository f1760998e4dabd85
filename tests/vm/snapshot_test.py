#!/usr/bin/env python3
"""Snapshots and forks (engine qemu): containers that go on from where another one was."""
import concurrent.futures
import json
import math
import pathlib
import platform
import re
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from containers import ENDLESS, ContainerTest, Reader  # noqa: E402
from crash import monitor_of, vms_of  # noqa: E402
from diatom import DEADLINE, main  # noqa: E402

CLOCK_ERROR = 0.05
HELD = 64 << 20
# A line for each that it reads: how many there were, so that it tells whether it is the process that it was.
COUNTER = 'n=0; while read line; do n=$((n+1)); echo $n $line; done'


class SnapshotTest(ContainerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.home.env['DIATOM_ENGINE'] = 'qemu'

    def fork(self, name: str, *options) -> list[str]:
        return self.diatom('fork', *options, name).stdout.decode().split()

    def counter(self, name: str, *options):
        self.diatom('run', '-d', '-i', '--name', name, *options, 'busybox', 'sh', '-c', COUNTER)

    def count(self, name: str, word: str) -> str:
        """What the container's program answers to a line."""
        process = self.home.popen('attach', name, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process.stdin.write(word.encode() + b'\n')
        process.stdin.flush()
        answer = b''
        while b' ' not in answer:  # a terminal shows what was typed, first
            answer = process.stdout.readline()
            self.assertTrue(answer)
        process.kill()
        process.wait(DEADLINE)
        for pipe in (process.stdin, process.stdout):
            pipe.close()
        return answer.decode().strip()

    def left_over(self) -> list[str]:
        folder = self.home.path / 'home/snapshots'
        return sorted(path.name for path in folder.iterdir() if path.name != '.lock') if folder.exists() else []


class Fork(SnapshotTest):
    def step(self, name: str, number: int):
        self.diatom('kill', '-s', 'USR1', name)
        self.await_output(name, f'{number}\n'.encode())

    def test_a_copy_goes_on_from_where_the_container_is(self):
        # It counts how often it was asked to, each time in a line.
        self.up('first', 'i=0; trap \'i=$((i+1)); echo $i\' USR1; sleep 1000 & ' + ENDLESS + 'wait; done')
        self.step('first', 1)
        self.step('first', 2)
        (copy,) = self.fork('first', '--name', 'second')
        for name in ('second', 'first'):  # and that one, too, without a gap
            self.step(name, 3)
            self.step(name, 4)
        self.assertEqual(self.logs('second').split(), ['3', '4'])
        self.assertEqual(self.logs('first').split()[1:], ['1', '2', '3', '4'])
        info = self.inspect('second')
        self.assertEqual((info['Id'], info['Engine']['Start'], info['State']['Status']), (copy, 'copied', 'running'))
        self.assertEqual(self.left_over(), [])
        self.assertFalse((self.home.path / 'home/containers' / copy / 'saved').exists())

    def test_each_has_a_disk_of_its_own(self):
        self.up('first', 'echo one > /file; ' + ENDLESS + 'sleep 1; done')
        self.fork('first', '--name', 'other')
        self.sh('first', 'echo first > /file; sync')
        self.sh('other', 'echo other >> /file; echo more > /more')
        self.assertEqual(self.sh('first', 'cat /file; ls /more 2>/dev/null', code=1), 'first\n')
        self.assertEqual(self.sh('other', 'cat /file'), 'one\nother\n')
        # Its next start is one like any other, from its own disk.
        self.diatom('stop', '-t', '0', 'other')
        self.diatom('start', 'other')
        self.assertIn(self.inspect('other')['Engine']['Start'], ('warm', 'cold'))
        self.assertEqual(self.sh('other', 'cat /more'), 'more\n')
        self.assertIn('A /more', self.diatom('diff', 'other').stdout.decode())

    def test_each_has_an_identity_of_its_own(self):
        own = ('hostname; cat /etc/hostname; cat /proc/sys/kernel/random/boot_id; cat /proc/sys/kernel/random/uuid; '
               'head -c 16 /dev/urandom | md5sum; cat /sys/class/net/eth0/address')
        self.up('first', ENDLESS + 'sleep 1; done', '--read-only')
        self.sh('first', own)  # it has drawn all of them by then
        names = ['first'] + self.fork('first', '-n', '3')
        names += self.fork(names[1])  # and so has the copy of a copy
        answers = [self.sh(name, own).splitlines() for name in names]
        for line in zip(*answers):
            self.assertEqual(len(set(line)), len(names), line)
        for name, answer in zip(names, answers):
            ident = self.inspect(name)['Id'][:12]
            self.assertEqual(answer[:2], [ident, ident])
            self.assertIn(f'\t{ident}\n', self.sh(name, 'cat /etc/hosts'))

    def test_each_knows_the_time(self):
        self.up('first', ENDLESS + 'sleep 1; done')
        names = ['first'] + self.fork('first', '-n', '3')
        for name in names:
            least, most = -math.inf, math.inf
            process = self.home.popen('exec', '-i', name, 'sh', '-c', 'while read line; do echo $EPOCHREALTIME; done',
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            for _ in range(20):  # it reads its clock between the two
                before = time.time()
                process.stdin.write(b'\n')
                process.stdin.flush()
                now = float(process.stdout.readline())
                least, most = max(least, now - time.time()), min(most, now - before)
            process.stdin.close()
            self.assertEqual(process.wait(DEADLINE), 0)
            self.assertLess(max(least, -most), CLOCK_ERROR, name)

    def test_all_share_what_none_has_written(self):
        first = self.up('first', f'head -c {HELD} /dev/urandom > /dev/shm/held; ' + ENDLESS + 'sleep 1; done',
                        '--shm-size', '128m')
        before = self.sh('first', 'md5sum /dev/shm/held')
        names = [first, *self.fork('first', '-n', '2')]
        self.assertEqual({self.sh(name, 'md5sum /dev/shm/held') for name in names}, {before})
        for name in names if platform.machine() == 'x86_64' else names[1:]:
            (vm,) = vms_of(name)
            usage = dict(re.findall(r'^(\w+): +(\d+) kB$', pathlib.Path(f'/proc/{vm}/smaps_rollup').read_text(), re.MULTILINE))
            shared = 1024 * (int(usage['Shared_Clean']) + int(usage['Shared_Dirty']))
            self.assertGreater(shared, HELD, usage)  # each has read all of it
            self.assertLess(1024 * int(usage['Anonymous']), HELD, usage)

    def test_copies_of_copies_hold_what_was_written_in_between(self):
        held = '/dev/shm/held'
        self.up('first', f'head -c 1000000 /dev/urandom > {held}; ' + ENDLESS + 'sleep 1; done')
        names = ['first']
        for _ in range(4):  # of the first, of its copy, of the first again, …
            name = names[len(names) // 2] if len(names) % 2 == 0 else 'first'
            self.sh(name, f'head -c 1000000 /dev/urandom >> {held}')
            names += self.fork(name)
            self.assertEqual(self.sh(names[-1], f'md5sum {held}'), self.sh(name, f'md5sum {held}'))
        self.assertEqual(len({self.sh(name, 'hostname') for name in names}), 5)

    def test_its_stdin_is_open_for_each(self):
        self.counter('first')
        self.assertEqual(self.count('first', 'a'), '1 a')
        self.fork('first', '--name', 'second')
        self.assertEqual(self.count('second', 'b'), '2 b')
        self.assertEqual(self.count('first', 'c'), '2 c')
        self.assertEqual(self.count('second', 'd'), '3 d')

    def test_a_terminal(self):
        self.counter('first', '-t')
        self.fork('first', '--name', 'second')
        self.assertEqual(self.count('second', 'x'), '1 x')
        self.assertEqual(self.sh('second', 'tty < /proc/1/fd/0', '-t').strip(), '/dev/pts/0')

    def test_published_ports_are_at_free_ports_of_the_host(self):
        self.up('web', 'mkdir -p /www; hostname > /www/index.html; httpd -h /www; ' + ENDLESS + 'sleep 1; done',
                '-p', '127.0.0.1::80')
        names = ['web', *self.fork('web', '-n', '2')]
        ports = [self.diatom('port', name, '80').stdout.decode().strip().rsplit(':', 1)[1] for name in names]
        self.assertEqual(len(set(ports)), 3, ports)
        for port in ports:
            with socket.create_connection(('127.0.0.1', int(port)), DEADLINE) as client:
                client.sendall(b'GET /index.html HTTP/1.0\r\n\r\n')
                client.settimeout(DEADLINE)
                self.assertRegex(client.recv(4096), rb'^HTTP/1.\d 200')

    def test_an_exec_that_is_under_way_goes_on_in_the_first_alone(self):
        self.up('first', ENDLESS + 'sleep 1; done')
        process = self.home.popen('exec', '-i', 'first', 'sh', '-c', 'echo up; ' + COUNTER, stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)
        self.assertEqual(process.stdout.readline(), b'up\n')
        self.fork('first', '--name', 'second')
        for number, word in ((1, b'a'), (2, b'b')):
            process.stdin.write(word + b'\n')
            process.stdin.flush()
            self.assertEqual(process.stdout.readline(), b'%d %s\n' % (number, word))
        process.stdin.close()
        self.assertEqual(process.wait(DEADLINE), 0)
        self.assertEqual(self.sh('second', 'echo well'), 'well\n')

    def test_its_end_is_an_end_like_any_other(self):
        self.up('first', "trap 'exit 7' TERM; " + ENDLESS + 'sleep 1000 & wait $!; done', '--rm')
        (copy,) = self.fork('first')
        self.assertEqual(self.status(copy), 'running')
        with Reader(self, 'wait', '--condition', 'removed', copy) as waiter:
            self.await_clients(copy, 1)
            self.diatom('stop', copy)
            self.assertEqual(waiter.rest(), b'7\n')
        self.assertNotIn(copy[:12], self.diatom('ps', '-aq').stdout.decode())
        self.assertEqual(self.status('first'), 'running')

    def test_much_output_meanwhile_is_whole_and_in_order(self):
        self.up('first', 'i=0; ' + ENDLESS + 'i=$((i+1)); echo $i; done')
        self.await_output('first', b'\n2000\n')
        self.fork('first', '-n', '2')
        seen = int(self.logs('first', '--tail', '1').split()[-1])  # it goes on meanwhile
        self.await_output('first', f'\n{seen + 1000}\n'.encode())
        self.diatom('kill', 'first')
        numbers = [int(word) for word in self.logs('first').split()[1:-1]]
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))

    def test_several_at_once(self):
        self.up('first', ENDLESS + 'sleep 1; done')
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            copies = list(pool.map(lambda _: self.fork('first'), range(3)))
        for (copy,) in copies:
            self.assertEqual(self.status(copy), 'running')
        self.assertEqual(self.left_over(), [])


class Refused(SnapshotTest):
    def refused(self, *words, says: bytes):
        result = self.home.run(*words)
        self.assertEqual((result.returncode, result.stdout), (1, b''), result.stderr)
        self.assertIn(says, result.stderr)
        self.assertEqual(self.left_over(), [])

    def test_what_does_not_run(self):
        self.diatom('create', '--name', 'still', 'busybox')
        self.refused('fork', 'still', says=b'not running')
        self.refused('snapshot', 'create', 'still', says=b'not running')
        self.refused('fork', 'nobody', says=b'there is none')

    def test_what_is_paused(self):
        self.up('first', ENDLESS + 'sleep 1; done')
        self.diatom('pause', 'first')
        self.refused('fork', 'first', says=b'unpause')
        self.diatom('unpause', 'first')
        self.assertEqual(len(self.fork('first')), 1)

    def test_names(self):
        self.up('first', ENDLESS + 'sleep 1; done')
        self.refused('fork', '--name', 'first', 'first', says=b'"first"')
        self.refused('fork', '--name', '../x', 'first', says=b'not allowed')
        self.refused('snapshot', 'create', 'first', '../x', says=b'not allowed')
        self.refused('snapshot', 'rm', '..', says=b'there is none')
        self.refused('snapshot', 'restore', '.lock', says=b'there is none')
        self.assertEqual(self.diatom('ps', '-aq').stdout.decode().split(), [self.inspect('first')['Id'][:12]])


class Snapshot(SnapshotTest):
    def tearDown(self):
        for name in self.left_over():
            self.home.run('snapshot', 'rm', name)

    def snapshot(self, container: str, *name) -> str:
        return self.diatom('snapshot', 'create', container, *name).stdout.decode().strip()

    def restore(self, snapshot: str, *options) -> str:
        return self.diatom('snapshot', 'restore', *options, snapshot).stdout.decode().strip()

    def test_containers_go_on_from_it_when_the_first_has_gone(self):
        self.counter('first')
        self.assertEqual(self.count('first', 'a'), '1 a')
        self.sh('first', 'echo kept > /file')
        self.assertEqual(self.snapshot('first', 'then'), 'then')
        self.diatom('rm', '-f', 'first')
        for name in ('second', 'third'):
            self.restore('then', '--name', name)
            self.assertEqual(self.count(name, 'b'), '2 b')
            self.assertEqual(self.sh(name, 'cat /file'), 'kept\n')
        self.diatom('snapshot', 'rm', 'then')
        self.assertEqual(self.count('third', 'c'), '3 c')  # it does not need it any more
        self.assertEqual(self.left_over(), [])

    def test_its_image_stays(self):
        self.up('first', ENDLESS + 'sleep 1; done')
        self.snapshot('first', 'then')
        self.diatom('rm', '-f', 'first')
        result = self.home.run('rmi', 'busybox')
        self.assertEqual(result.returncode, 1)
        self.assertIn(b'a snapshot was made from it', result.stderr)
        self.diatom('image', 'prune', '-af')
        self.restore('then', '--name', 'second')
        self.assertEqual(self.sh('second', 'echo well'), 'well\n')

    def test_it_is_listed_and_removed(self):
        self.up('first', ENDLESS + 'sleep 1; done', '-m', '256m')
        name = self.snapshot('first')
        self.refused_name(name)
        (row,) = [json.loads(line)
                  for line in self.diatom('snapshot', 'ls', '--format', 'json').stdout.splitlines()]
        self.assertEqual((row['Name'], row['Container'], row['Image'], row['Memory']), (name, 'first', 'busybox', '256MiB'))
        self.assertEqual(self.diatom('snapshot', 'ls', '-q').stdout.decode().split(), [name])
        self.assertIn('Snapshots 1', self.diatom('system', 'df', '--format', '{{.Type}} {{.TotalCount}}').stdout.decode())
        self.assertEqual(self.diatom('snapshot', 'rm', name).stdout.decode().split(), [name])
        self.diatom('snapshot', 'rm', name, code=1)
        self.assertEqual(self.diatom('snapshot', 'ls', '-q').stdout, b'')

    def refused_name(self, name: str):
        result = self.home.run('snapshot', 'create', 'first', name)
        self.assertEqual(result.returncode, 1)
        self.assertIn(b'there is one of that name', result.stderr)

    def test_one_that_is_damaged_is_never_run(self):
        self.up('first', ENDLESS + 'sleep 1; done')
        for file, spoil in (('state', lambda old: old[:-2] + bytes([old[-2] ^ 1]) + old[-1:]), ('machine.json', lambda _: b'{}'),
                            ('machine.json', lambda old: old.replace(b'"key":"', b'"key":"0')),
                            ('snapshot.json', lambda _: b'[')):
            name = self.snapshot('first')
            path = self.home.path / 'home/snapshots' / name / file
            path.write_bytes(spoil(path.read_bytes()))
            result = self.home.run('snapshot', 'restore', name)
            self.assertEqual((result.returncode, result.stdout), (1, b''), file)
            self.assertTrue(result.stderr.startswith(b'diatom: '), result.stderr)
            self.assertEqual(len(self.diatom('ps', '-aq').stdout.split()), 1)
        memory = self.home.path / 'home/snapshots' / self.snapshot('first') / 'memory'
        with memory.open('r+b') as file:
            file.write(b'x')
        result = self.home.run('snapshot', 'restore', memory.parent.name)
        self.assertIn(b'not as they were written', result.stderr)

    def test_what_a_killed_process_has_left_goes_with_the_next(self):
        self.up('first', ENDLESS + 'sleep 1; done')
        self.snapshot('first', 'good')
        left = self.home.path / 'home/snapshots/.new-left'
        left.mkdir()
        (left / 'memory').write_bytes(b'x')
        self.snapshot('first', 'better')
        self.assertEqual(self.left_over(), ['better', 'good'])

    def test_a_container_whose_vm_ends_meanwhile(self):
        container = self.up('first', ENDLESS + 'sleep 1; done', '--shm-size', '256m')
        self.sh('first', 'head -c 100000000 /dev/urandom > /dev/shm/held')
        process = self.home.popen('snapshot', 'create', 'first', 'half', stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        victim = monitor_of(self.home, container)
        victim.kill()
        victim.close()
        out, words = process.communicate(timeout=DEADLINE)
        if process.returncode != 0:  # else it was faster
            self.assertEqual(out, b'')
            self.assertTrue(words.startswith(b'diatom: '), words)
            self.assertEqual(self.left_over(), [])


if __name__ == '__main__':
    main()
