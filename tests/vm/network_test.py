#!/usr/bin/env python3
"""A container's network: what it reaches, by which ports it is reached, and what is closed to it."""
import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from diatom import DEADLINE, ROOT, HomeTest, main, need  # noqa: E402


def own_address() -> str | None:
    """An address of this machine's that is not loopback: the one that it would send from. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(('198.51.100.1', 9))
            address = probe.getsockname()[0]
            return None if address.startswith('127.') else address
        except OSError:
            return None


@contextlib.contextmanager
def server(address: str, kind: int = socket.SOCK_STREAM, answer: bytes = b'from the host\n'):
    """Answers everybody with the same words, on a port of its own, which it yields."""
    with socket.socket(socket.AF_INET, kind) as listener:
        listener.bind((address, 0))

        def serve_stream():
            listener.listen()
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.sendall(answer)

        def serve_datagrams():
            with contextlib.suppress(OSError):
                while (peer := listener.recvfrom(2048)[1]) is not None:  # there is none when it has been shut down
                    listener.sendto(answer, peer)

        stream = kind == socket.SOCK_STREAM
        if stream:
            listener.listen()
        thread = threading.Thread(target=serve_stream if stream else serve_datagrams, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
    thread.join(DEADLINE)


class NetworkTest(HomeTest):
    probe: bytes = b''

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        compiler = shutil.which('cc') or shutil.which('gcc')
        if compiler:
            program = cls.home.path / 'net_probe'
            subprocess.run([compiler, '-static', '-O1', '-w', '-o', program, ROOT / 'tests/support/net_probe.c'],
                           check=True, timeout=DEADLINE)
            cls.probe = program.read_bytes()

    def setUp(self):
        need(self, 'cc', bool(self.probe), 'there is no C compiler for tests/support/net_probe.c')

    def probing(self, script: str, *options) -> list[str]:
        """The lines that a script prints, in a guest that has the probe as /p."""
        return self.guest('cat > /p; chmod +x /p; ' + script, '-i', *options, stdin=self.probe).splitlines()

    @contextlib.contextmanager
    def echo_server(self, *options, name: str = 'echo'):
        """A container that echoes TCP and UDP on port 7; yields once it listens."""
        process = self.home.popen('run', '--rm', '-i', '--name', name, *options, 'busybox', 'sh', '-c',
                                  'cat > /p; chmod +x /p; exec /p echo 7', stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)
        try:
            process.stdin.write(self.probe)
            process.stdin.close()
            line = process.stdout.readline()
            if line != b'ready\n':
                process.kill()
                self.fail(f'no server: {line!r} {process.stderr.read()!r}')
            yield process
        finally:
            self.home.run('rm', '-f', name)
            process.wait(DEADLINE)
            process.stdout.close()
            process.stderr.close()

    def ports(self, name: str = 'echo') -> list[dict]:
        (info,) = self.home.json('inspect', name)
        return [{'ContainerPort': int(port.split('/')[0]), 'Protocol': port.split('/')[1], 'HostAddress': bound['HostIp'], 'HostPort': int(bound['HostPort'])}
                for port, all in info['NetworkSettings']['Ports'].items() for bound in all or []]

    def echoed(self, address: str, port: int, data: bytes) -> bytes:
        with socket.create_connection((address, port), DEADLINE) as connection:
            def send():
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
            sender = threading.Thread(target=send)
            sender.start()
            got = bytearray()
            while chunk := connection.recv(1 << 16):
                got += chunk
            sender.join(DEADLINE)
            return bytes(got)

    def echoed_datagram(self, address: str, port: int, data: bytes) -> bytes:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(DEADLINE)
            client.sendto(data, (address, port))
            return client.recv(1 << 16)

    def free_port(self, kind: int = socket.SOCK_STREAM) -> int:
        with socket.socket(socket.AF_INET, kind) as probe:
            probe.bind(('127.0.0.1', 0))
            return probe.getsockname()[1]


class Outgoing(NetworkTest):
    def setUp(self):
        super().setUp()
        self.address = own_address()
        need(self, 'address', self.address is not None, 'this machine has no address but loopback')

    def test_a_container_connects_to_the_world(self):
        with server(self.address) as port:
            self.assertEqual(self.guest(f'nc {self.address} {port}'), 'from the host\n')

    def test_it_sends_datagrams_and_gets_answers(self):
        with server(self.address, socket.SOCK_DGRAM, b'datagram') as port:
            self.assertEqual(self.probing(f'/p udp {self.address} {port}'), ['datagram'])

    def test_names_are_resolved_as_the_host_does(self):
        name = 'deb.debian.org'
        try:
            addresses = {entry[4][0] for entry in socket.getaddrinfo(name, 80, socket.AF_INET)}
        except OSError as error:
            need(self, 'dns', False, f'this machine cannot resolve {name}: {error}')
        out = self.guest(f'nslookup {name} | tail -n +3')
        self.assertTrue(any(address in out for address in addresses), f'{addresses} in {out}')

    def test_without_a_network_there_is_loopback_alone(self):
        with server(self.address) as port:
            out = self.guest(f'ls /sys/class/net; ip -o addr show dev lo | grep -c 127.0.0.1; nc {self.address} {port} 2>&1; '
                             'grep $(hostname) /etc/hosts | cut -f 1; grep -c nameserver /etc/resolv.conf',
                             '--network', 'none', code=1)
        self.assertEqual(out.splitlines(), ['lo', '1', f"nc: can't connect to remote host ({self.address}): Network is unreachable",
                                            '127.0.1.1', '0'])


class Published(NetworkTest):
    def test_ports_are_reached_from_the_host_by_tcp_and_udp(self):
        tcp, udp = self.free_port(), self.free_port(socket.SOCK_DGRAM)
        with self.echo_server('-p', f'{tcp}:7', '-p', f'{udp}:7/udp'):
            self.assertEqual(self.echoed('127.0.0.1', tcp, b'hello'), b'hello')
            self.assertEqual(self.echoed_datagram('127.0.0.1', udp, b'datagram'), b'datagram')
            data = os.urandom(1 << 20)
            self.assertEqual(self.echoed('127.0.0.1', tcp, data), data)
            if address := own_address():  # nobody asked for more than loopback
                with self.assertRaises(ConnectionRefusedError):
                    socket.create_connection((address, tcp), DEADLINE)

    def test_an_address_is_heeded(self):
        address = own_address()
        need(self, 'address', address is not None, 'this machine has no address but loopback')
        port = self.free_port()
        with self.echo_server('-p', f'{address}:{port}:7', '-p', f'127.0.0.2:{port}:7'):
            self.assertEqual(self.echoed(address, port, b'here'), b'here')
            self.assertEqual(self.echoed('127.0.0.2', port, b'and here'), b'and here')
            with self.assertRaises(ConnectionRefusedError):
                socket.create_connection(('127.0.0.1', port), DEADLINE)

    def test_free_ports_are_chosen_and_two_containers_may_have_the_same_port_inside(self):
        with self.echo_server('-p', '7', '-p', '7/udp', '-P', '--expose', '8-9', name='one'), \
                self.echo_server('-p', '7', name='two'):
            one, two = self.ports('one'), self.ports('two')
            self.assertEqual([(p['ContainerPort'], p['Protocol']) for p in one],
                             [(7, 'tcp'), (7, 'udp'), (8, 'tcp'), (9, 'tcp')])
            chosen = [p['HostPort'] for p in one + two if p['Protocol'] == 'tcp']
            self.assertEqual(len(set(chosen)), len(chosen))
            for port, word in ((one[0], b'one'), (two[0], b'two')):
                self.assertEqual(self.echoed(port['HostAddress'], port['HostPort'], word), word)

    def test_a_port_that_is_taken_is_an_error_before_anything_is_made(self):
        for kind, suffix in ((socket.SOCK_STREAM, 'tcp'), (socket.SOCK_DGRAM, 'udp')):
            with self.subTest(suffix), socket.socket(socket.AF_INET, kind) as holder:
                holder.bind(('127.0.0.1', 0))
                if kind == socket.SOCK_STREAM:
                    holder.listen()
                port = holder.getsockname()[1]
                before = self.home.files()
                result = self.diatom('run', '-p', f'{port}:80/{suffix}', 'busybox', 'true', code=125)
                self.assertIn(f'127.0.0.1:{port}/{suffix}: it is taken', result.stderr.decode())
                self.assertEqual((result.stdout, self.home.containers(), self.home.files()), (b'', [], before))

    def test_what_is_no_port_is_refused(self):
        for options, words in ((['-p', '80:x'], 'parse port "80:x"'), (['-p', '[::1]:8080:80'], 'IPv4'),
                               (['-p', '203.0.113.77:0:80'], 'no such address'), (['--network', 'nowhere'], '"nowhere"'),
                               (['--dns', 'x'], 'dns "x"'), (['--add-host', 'x:y'], 'add host "x:y"')):
            result = self.diatom('run', '--rm', *options, 'busybox', 'true', code=125)
            self.assertIn(words, result.stderr.decode())


class HostIsClosed(NetworkTest):
    def test_services_on_the_hosts_loopback_are_not_reached_by_any_address(self):
        with server('127.0.0.1') as port, server('127.0.0.1', socket.SOCK_DGRAM) as udp:
            out = self.probing(f'for a in 10.0.2.2 10.0.2.3 10.0.2.99 10.0.2.255; do /p tcp $a {port}; /p udp $a {udp}; done; '
                               f'for a in 127.0.0.1 0.0.0.0 255.255.255.255; do /p tcp $a {port} eth0; done; '
                               f'/p tcp 10.0.2.2 {port} eth0', '-p', '7', '-p', '7/udp')
        for line in out:
            self.assertNotIn(line, ('connected', 'from the host'), out)
        self.assertEqual(out[0], 'Operation not permitted')  # at once, and not after two minutes

    def test_nor_by_packets_that_a_program_makes_itself(self):
        out = self.probing('for f in 17 44; do /p socket $f 3; done; /p socket 2 10; /p socket 2 1')
        self.assertEqual(out, ['Operation not permitted'] * 3 + ['made'])

    def test_no_fragment_leaves_that_a_program_makes_itself(self):
        out = self.probing('for a in 198.51.100.1 10.0.2.3 10.0.2.15; do /p fragment $a; done')
        self.assertEqual(out, ['Operation not permitted'] * 2 + ['sent'])

    def test_the_containers_own_address_and_loopback_are_open(self):
        out = self.probing('/p echo 7 > /ready & until grep -q ready /ready; do true; done; '
                           'for a in 127.0.0.1 10.0.2.15; do /p tcp $a 7; /p udp $a 7; done')
        self.assertEqual(out, ['connected', 'hello', 'connected', 'hello'])


class Files(HomeTest):
    def test_the_resolver_and_the_hosts_file_are_dockers(self):
        out = self.guest('cat /etc/resolv.conf; grep -v ip6 /etc/hosts', '--hostname', 'web', '--dns-search', 'a.test',
                         '--dns-search', 'b.test', '--dns-option', 'ndots:2', '--add-host', 'db:192.0.2.7',
                         '--add-host', 'six:2001:db8::1')
        self.assertEqual(out, 'nameserver 10.0.2.3\nsearch a.test b.test\noptions ndots:2\n'
                              '127.0.0.1\tlocalhost\n10.0.2.15\tweb\n192.0.2.7\tdb\n2001:db8::1\tsix\n')

    def test_name_servers_of_ones_own_replace_the_hosts(self):
        out = self.guest('cat /etc/resolv.conf', '--dns', '192.0.2.53', '--dns', '2001:db8::53', '--dns-search', '.')
        self.assertEqual(out.splitlines()[:2], ['nameserver 192.0.2.53', 'nameserver 2001:db8::53'])
        self.assertNotIn('search', out)


if __name__ == '__main__':
    main()
