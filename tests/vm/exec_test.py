#!/usr/bin/env python3
"""Other programs in a container that runs (`exec`), and its own program's streams for whoever comes later (`attach`,
`start -a`)."""
import contextlib
import hashlib
import os
import pathlib
import select
import signal
import subprocess
import sys
import termios

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from crash import monitor_of  # noqa: E402
from containers import BoxTest, ContainerTest, Reader  # noqa: E402
from diatom import DEADLINE, main  # noqa: E402
from terminal import in_terminal, read_until, set_size  # noqa: E402

FOREVER = 'sleep 1000'
BIG = 10 << 20
CTRL_P_Q = b'\x10\x11'


class OneContainerTest(BoxTest):
    OPTIONS = ('-e', 'FROM=container', '-w', '/tmp')


class Exec(OneContainerTest):
    def test_streams_are_apart_and_the_exit_code_is_the_programs(self):
        result = self.diatom('exec', 'box', 'sh', '-c', 'echo out; echo err >&2; exit 42', code=42)
        self.assertEqual((result.stdout, result.stderr), (b'out\n', b'err\n'))
        self.diatom('exec', 'box', 'sh', '-c', 'kill -9 $$', code=137)

    def test_what_cannot_be_executed(self):
        self.assertIn(b'/no/such', self.diatom('exec', 'box', '/no/such', code=127).stderr)
        self.assertIn(b'passwd', self.diatom('exec', 'box', '/etc/passwd', code=126).stderr)
        self.assertIn(b'/no/such', self.diatom('exec', '-w', '/no/such', 'box', 'true', code=125).stderr)
        self.assertIn(b'nobody-such', self.diatom('exec', '-u', 'nobody-such', 'box', 'true', code=125).stderr)
        for words in ([], ['box'], ['--nonsense', 'box', 'true']):
            self.assertNotEqual(self.home.run('exec', *words).returncode, 0)
        self.diatom('exec', 'box', 'true')

    def test_environment_directory_and_user(self):
        self.assertEqual(self.sh('box', 'echo $FROM $MORE; pwd; id -u', '-e', 'MORE=exec'), 'container exec\n/tmp\n0\n')
        self.assertEqual(self.sh('box', 'echo $FROM; pwd; id -u; id -g', '-e', 'FROM=exec', '-w', '/etc', '-u', 'user'),
                         'exec\n/etc\n1000\n1000\n')
        self.assertEqual(self.sh('box', 'id -u; id -g', '-u', '7:8'), '7\n8\n')
        self.assertEqual(self.sh('box', 'echo "$1" | cat', code=0), '\n')
        # It is in the container: its processes, its files, its name.
        self.assertIn('sleep 100000', self.sh('box', "tr '\\0' ' ' < /proc/1/cmdline"))
        self.assertEqual(self.sh('box', 'hostname').strip(), self.inspect('box')['Id'][:12])

    def test_ten_megabytes_there_and_back(self):
        data = os.urandom(BIG)
        back = self.diatom('exec', '-i', 'box', 'cat', stdin=data).stdout
        self.assertEqual(hashlib.sha256(back).digest(), hashlib.sha256(data).digest())
        # Without -i nothing is read, and the program sees the end at once.
        self.assertEqual(self.diatom('exec', 'box', 'wc', '-c', stdin=b'nothing').stdout, b'0\n')

    def test_a_program_that_does_not_read_its_stdin_ends_all_the_same(self):
        with Reader(self, 'exec', '-i', 'box', 'sh', '-c', 'exit 5', stdin=subprocess.PIPE) as reader:
            self.assertEqual(reader.process.wait(DEADLINE), 5)

    def test_detached(self):
        self.diatom('exec', '-d', 'box', 'sh', '-c', 'mkfifo /tmp/gate; cat /tmp/gate > /tmp/passed; echo noise')
        self.sh('box', 'while [ ! -p /tmp/gate ]; do sleep 0.05; done; echo through > /tmp/gate')
        self.assertEqual(self.sh('box', 'while [ ! -s /tmp/passed ]; do sleep 0.05; done; cat /tmp/passed'), 'through\n')
        self.diatom('exec', '-d', 'box', '/no/such', code=127)

    def test_signals_reach_it_and_not_the_container(self):
        script = 'trap "echo got; exit 6" TERM; trap "echo int" INT; echo ready; while :; do sleep 0.1; done'
        with Reader(self, 'exec', 'box', 'sh', '-c', script) as reader:
            reader.until(b'ready\n')
            reader.process.send_signal(signal.SIGINT)
            reader.until(b'int\n')
            reader.process.send_signal(signal.SIGTERM)
            self.assertTrue(reader.rest().endswith(b'got\n'))
            self.assertEqual(reader.process.wait(DEADLINE), 6)
        self.assertEqual(self.status('box'), 'running')

    def test_one_whose_client_is_killed_has_no_reader_and_no_input(self):
        with Reader(self, 'exec', '-i', 'box', 'sh', '-c', 'echo ready; cat; touch /tmp/input-ended',
                    stdin=subprocess.PIPE) as reader:
            reader.until(b'ready\n')
        self.sh('box', 'while [ ! -e /tmp/input-ended ]; do sleep 0.05; done')

    def test_two_hundred_at_once(self):
        running = [self.home.popen('exec', 'box', 'sh', '-c', f'echo {i}; exit {i % 100}', stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT) for i in range(200)]
        for i, process in enumerate(running):
            out, _ = process.communicate(timeout=DEADLINE)
            self.assertEqual((process.returncode, out), (i % 100, b'%d\n' % i))

    def test_one_that_nobody_reads_holds_nobody_up(self):
        with Reader(self, 'exec', 'box', 'cat', '/dev/zero') as stalled:
            self.assertTrue(stalled.more())
            data = os.urandom(4 << 20)
            self.assertEqual(self.diatom('exec', '-i', 'box', 'cat', stdin=data).stdout, data)
            self.assertEqual(self.status('box'), 'running')
            stalled.process.send_signal(signal.SIGTERM)
            while stalled.more():
                stalled.seen = b''
            self.assertEqual(stalled.process.wait(DEADLINE), 143)


class Terminals(OneContainerTest):
    def test_a_terminal_its_size_and_a_resize(self):
        process, master = in_terminal(self.home, 'exec', '-it', 'box', 'sh')
        os.write(master, b'stty size; tty; echo rea""dy\n')
        out = read_until(master, b'ready')
        self.assertIn(b'33 101', out)
        self.assertIn(b'/dev/pts/', out)
        os.write(master, b'exec sh -c \'trap "stty size; exit 3" WINCH; echo set""ting; while :; do sleep 0.1; done\'\n')
        read_until(master, b'setting')
        set_size(master, 44, 120)
        read_until(master, b'44 120')
        self.assertEqual(process.wait(DEADLINE), 3)
        self.assertTrue(termios.tcgetattr(master)[3] & termios.ICANON)  # as it was before
        os.close(master)

    def test_the_detach_keys_leave_it_running(self):
        process, master = in_terminal(self.home, 'exec', '-it', 'box', 'sh', '-c',
                                      'echo rea""dy; mkfifo /tmp/fifo; read line < /tmp/fifo; echo $line > /tmp/went-on')
        read_until(master, b'ready')
        os.write(master, CTRL_P_Q)
        self.assertEqual(process.wait(DEADLINE), 0)
        os.close(master)
        self.sh('box', 'while [ ! -p /tmp/fifo ]; do sleep 0.05; done; echo yes > /tmp/fifo')
        self.assertEqual(self.sh('box', 'while [ ! -s /tmp/went-on ]; do sleep 0.05; done; cat /tmp/went-on'), 'yes\n')

    def test_detach_keys_of_ones_own(self):
        process, master = in_terminal(self.home, 'exec', '-it', '--detach-keys', 'ctrl-x,x', 'box', 'sh')
        os.write(master, b'echo rea""dy\n')
        read_until(master, b'ready')
        os.write(master, b'echo ' + CTRL_P_Q[:1] + b'still\x18-here\n')  # half of them, and another's
        read_until(master, b'here')
        os.write(master, b'\x18x')
        self.assertEqual(process.wait(DEADLINE), 0)
        os.close(master)
        for keys in ('ctrl-', 'abc', 'ctrl-1,x'):
            process, master = in_terminal(self.home, 'exec', '-it', '--detach-keys', keys, 'box', 'true')
            self.assertEqual(process.wait(DEADLINE), 1, keys)
            os.close(master)

    def test_a_pipe_is_no_terminal(self):
        self.assertIn(b'TTY', self.diatom('exec', '-it', 'box', 'true', code=1).stderr)
        self.assertEqual(self.diatom('exec', '-t', 'box', 'sh', '-c', 'tty; echo err >&2').stdout.count(b'\r\n'), 2)


class ExecWhereItCannot(ContainerTest):
    def test_it_says_why(self):
        self.assertIn(b'there is none', self.diatom('exec', 'nobody', 'true', code=1).stderr)
        self.up('box', FOREVER)
        self.diatom('pause', 'box')
        self.assertIn(b'paused', self.diatom('exec', 'box', 'true', code=1).stderr)
        self.assertIn(b'paused', self.diatom('exec', '-d', 'box', 'true', code=1).stderr)
        self.diatom('unpause', 'box')
        self.diatom('stop', '-t', '0', 'box')
        self.assertIn(b'not running', self.diatom('exec', 'box', 'true', code=1).stderr)
        self.assertIn(b'not running', self.diatom('exec', '-d', 'box', 'true', code=1).stderr)

    def test_it_ends_with_the_container(self):
        self.up('box', FOREVER)
        with Reader(self, 'exec', 'box', 'sh', '-c', 'echo ready; sleep 1000', stderr=subprocess.PIPE) as reader:
            reader.until(b'ready\n')
            self.diatom('stop', '-t', '0', 'box')
            reader.rest()
            self.assertEqual(reader.process.wait(DEADLINE), 137, reader.process.stderr.read())


class Attach(ContainerTest):
    def attach(self, *words, **more):
        return Reader(self, 'attach', *words, **more)

    def say_hello(self, speaker, *others):
        """Until all have seen something of what the program says to its stdin: then they are attached."""
        while not all(one.seen for one in (speaker, *others)):
            speaker.process.stdin.write(b'hello\n')
            for one in (speaker, *others):
                one.more(0.2)

    def test_two_at_once_see_all_that_follows_and_are_told_of_the_end(self):
        self.up('box', 'while read line; do echo "out $line"; echo "err $line" >&2; done; exit 11', '-i')
        with self.attach('box', stderr=subprocess.PIPE, stdin=subprocess.PIPE) as first, \
                self.attach('--no-stdin', 'box', stderr=subprocess.PIPE) as second:
            self.say_hello(first, second)
            first.process.stdin.write(b'last\n')
            first.until(b'out last\n')
            second.until(b'out last\n')
            self.diatom('kill', 'box')
            for one in (first, second):
                one.rest()
                self.assertEqual(one.process.wait(DEADLINE), 137)
                self.assertTrue(one.process.stderr.read().endswith(b'err last\n'))

    def test_the_end_of_ones_input_is_the_programs(self):
        self.up('box', 'while read line; do echo "out $line"; done; exit 11', '-i', ready=False)
        with self.attach('box', stdin=subprocess.PIPE) as first:
            self.say_hello(first)
        # Started detached, its stdin stays open for the next who comes (docker's StdinOnce is off).
        with self.attach('box', stdin=subprocess.PIPE) as second:
            self.say_hello(second)
        self.assertEqual(self.status('box'), 'running')
        self.diatom('rm', '-f', 'box')
        self.diatom('create', '-i', '--name', 'box', 'busybox', 'sh', '-c', 'cat; exit 11')
        with Reader(self, 'start', '-ai', 'box', stdin=subprocess.PIPE) as starter:
            starter.process.stdin.write(b'text')
            starter.until(b'text')
            starter.process.stdin.close()
            self.assertEqual(starter.process.wait(DEADLINE), 11)

    def test_one_that_stalls_holds_nobody_up_and_gets_everything(self):
        count = BIG // 8
        whole = b''.join(b'%d\n' % n for n in range(1000000, 1000000 + count))
        self.up('box', 'while read line && [ $line != go ]; do echo $line; done; '
                       f'seq 1000000 {1000000 + count - 1}; read line', '-i')
        with self.attach('--no-stdin', 'box') as stalled, self.attach('box', stdin=subprocess.PIPE) as reading, \
                Reader(self, 'logs', '-f', 'box') as log:
            self.say_hello(reading, stalled)
            reading.process.stdin.write(b'go\n')
            reading.until(whole[-8:])
            self.assertTrue(reading.seen.endswith(b'hello\n' + whole))
            reading.process.stdin.write(b'end\n')
            self.assertEqual(reading.process.wait(DEADLINE), 0)
            # The end is everybody's but its own.
            self.assertEqual(self.wait('box'), 0)
            self.assertTrue(log.rest().endswith(b'hello\n' + whole))
            self.assertIsNone(stalled.process.poll())
            self.diatom('start', 'box')  # another run is no business of its
            self.assertTrue(stalled.rest().endswith(b'hello\n' + whole))
            self.assertEqual(stalled.process.wait(DEADLINE), 0)
        self.assertEqual(self.status('box'), 'running')

    def test_what_nobody_reads_is_not_kept_in_memory(self):
        """20 clients that stall, and 4 MiB for each: the monitor holds what their windows take (docs/format/control.md)."""
        container = self.up('box', 'while read line; do head -c 4194304 /dev/zero; echo done; done', '-i')
        with contextlib.ExitStack() as stack:
            stalled = [stack.enter_context(self.attach('--no-stdin', 'box')) for _ in range(10)]
            stalled += [stack.enter_context(Reader(self, 'exec', 'box', 'cat', '/dev/zero')) for _ in range(10)]
            for reader in stalled[10:]:
                self.assertTrue(reader.more())
            stack.enter_context(self.attach('box', stdin=subprocess.PIPE)).process.stdin.write(b'go\n')
            self.await_output('box', b'done')
            with contextlib.closing(monitor_of(self.home, container)) as monitor:
                status = pathlib.Path(f'/proc/{monitor.pid}/status').read_text()
        most = int(status.split('VmHWM:')[1].split()[0])
        self.assertLess(most, 32 << 10, 'KiB')

    def test_detach_keys_of_a_terminal(self):
        self.up('box', 'while read line; do echo "got $line"; done', '-it', ready=False)
        for word in (b'one', b'two'):
            process, master = in_terminal(self.home, 'attach', 'box')
            os.write(master, word + b'\n')
            read_until(master, b'got ' + word)
            os.write(master, CTRL_P_Q)
            self.assertEqual(process.wait(DEADLINE), 0)
            os.close(master)
        process, master = in_terminal(self.home, 'attach', 'box')
        os.write(master, b'three\n')
        read_until(master, b'got three')
        os.write(master, b'four\n' + CTRL_P_Q)  # in one piece: what comes before them is the program's
        self.assertEqual(process.wait(DEADLINE), 0)
        os.close(master)
        self.await_output('box', b'got four')
        self.assertEqual(self.status('box'), 'running')

    def test_signals_are_passed_on_unless_they_are_not_to_be(self):
        self.up('box', 'trap "echo int" INT; trap "exit 3" TERM; while :; do echo tick; sleep 0.1; done')
        with self.attach('--no-sig-proxy', 'box') as aside, self.attach('box') as reader:
            while b'tick' not in aside.seen or b'tick' not in reader.seen:
                aside.more()
                reader.more()
            reader.process.send_signal(signal.SIGINT)
            reader.until(b'int\n')
            aside.until(b'int\n')
            aside.process.send_signal(signal.SIGINT)
            self.assertNotEqual(aside.process.wait(DEADLINE), 0)
            reader.process.send_signal(signal.SIGTERM)
            reader.rest()
            self.assertEqual(reader.process.wait(DEADLINE), 3)


class StartAttached(ContainerTest):
    def test_with_output_and_with_input(self):
        self.diatom('create', '--name', 'shown', 'busybox', 'sh', '-c', 'echo out; echo err >&2; exit 4')
        for _ in range(2):
            result = self.diatom('start', '-a', 'shown', code=4)
            self.assertEqual((result.stdout, result.stderr), (b'out\n', b'err\n'))
        self.diatom('create', '-i', '--name', 'filter', 'busybox', 'wc', '-c')
        self.assertEqual(self.diatom('start', '-ai', 'filter', stdin=b'x' * 1000).stdout, b'1000\n')
        self.assertNotEqual(self.home.run('start', '-a', 'shown', 'filter').returncode, 0)


class Foreground(ContainerTest):
    def test_nothing_is_lost_to_a_slow_pipe(self):
        for options in ([], ['--log-opt', 'max-size=256k', '--log-opt', 'max-file=2']):
            count = BIG // 8
            with Reader(self, 'run', '--rm', *options, 'busybox', 'sh', '-c',
                        f'seq 1000000 {1000000 + count - 1}') as reader:
                self.assertTrue(reader.more())
                # It is not read on until the program has ended, or waits for it.
                select.select([], [], [], 2.0)
                digest = hashlib.sha256(reader.rest()).hexdigest()
                self.assertEqual(reader.process.wait(DEADLINE), 0)
            whole = b''.join(b'%d\n' % n for n in range(1000000, 1000000 + count))
            self.assertEqual((len(reader.seen), digest), (len(whole), hashlib.sha256(whole).hexdigest()), options)

    def test_the_third_control_c_is_meant(self):
        with Reader(self, 'run', '--rm', 'busybox', 'sh', '-c',
                    'trap "echo int" INT; trap "" TERM; echo ready; while :; do sleep 0.1; done') as reader:
            reader.until(b'ready\n')
            for _ in range(2):
                reader.seen = b''
                reader.process.send_signal(signal.SIGINT)
                reader.until(b'int\n')
            reader.process.send_signal(signal.SIGINT)
            reader.rest()
            self.assertEqual(reader.process.wait(DEADLINE), 130)
        self.assertEqual(self.home.containers(), [])

    def test_detached_by_its_keys_it_goes_on(self):
        process, master = in_terminal(self.home, 'run', '-it', '--name', 'left', 'busybox', 'sh')
        os.write(master, b'echo rea""dy\n')
        read_until(master, b'ready')
        os.write(master, CTRL_P_Q)
        self.assertEqual(process.wait(DEADLINE), 0)
        os.close(master)
        self.assertEqual(self.status('left'), 'running')
        process, master = in_terminal(self.home, 'attach', 'left')
        os.write(master, b'echo still-""here; exit 5\n')
        read_until(master, b'still-here')
        self.assertEqual(process.wait(DEADLINE), 5)
        os.close(master)


if __name__ == '__main__':
    main()
