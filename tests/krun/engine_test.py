#!/usr/bin/env python3
"""What is libkrun's alone: run where there is KVM and the real library (tools/krun_guest/)."""
import os
import pathlib
import socket
import sys
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / 'tests/support'), str(ROOT / 'tools')]
import busybox_image  # noqa: E402
from containers import ContainerTest, Reader  # noqa: E402
from crash import until  # noqa: E402
from diatom import DEADLINE, main  # noqa: E402
from oci_layout import Layout  # noqa: E402
from tar_layer import Layer  # noqa: E402

MIB = 1 << 20
BOUNDS_PORTS = tuple(int(part) for part in os.uname().release.split('.')[:2]) >= (6, 7)


def field(pid: int, name: str) -> str:
    for line in pathlib.Path(f'/proc/{pid}/status').read_text().splitlines():
        if line.startswith(name + ':'):
            return line.split(':', 1)[1].strip()
    raise AssertionError(f'/proc/{pid}/status has no {name}')


class Engine(ContainerTest):
    def pid(self, name: str) -> int:
        return self.state(name)['Pid']

    def test_a_vm_is_libkruns_shut_in_and_knows_nothing_of_its_starter(self):
        self.diatom('run', '-d', '--name', 'one', '-e', 'SECRET=s3cret "quoted" $x', 'busybox', 'sh', '-c',
                    'cat /proc/cmdline; exec sleep 1000', env={'SECRET_OF_HOST': 'x'})
        self.await_output('one', b'\n')
        engine = self.inspect('one')['Engine']
        self.assertEqual((engine['Name'], engine['Accelerator']), ('krun', 'kvm'))
        pid = self.pid('one')
        self.assertEqual(field(pid, 'NoNewPrivs'), '1')
        self.assertEqual(pathlib.Path(f'/proc/{pid}/environ').read_bytes().split(b'\0')[0][:9], b'HOSTNAME=')
        self.assertNotIn(b'SECRET', pathlib.Path(f'/proc/{pid}/environ').read_bytes())
        # Nothing of the container's is on the kernel's command line: another one's is the same.
        words = self.logs('one')
        self.assertNotIn('s3cret', words)
        other = self.diatom('run', '--rm', '-w', '/tmp', 'busybox', 'cat', '/proc/cmdline').stdout.decode()
        self.assertEqual(words, other)

    def test_memory_that_the_guest_frees_is_given_back(self):
        self.up('big', 'exec sleep 1000', '--tmpfs', '/t:size=400m', '-m', '512m')
        pid = self.pid('big')

        def resident() -> int:
            return int(field(pid, 'VmRSS').split()[0]) << 10

        before = resident()
        self.sh('big', 'head -c 300m /dev/zero | tr "\\0" x > /t/f')
        self.assertGreater(resident(), before + 250 * MIB)
        self.sh('big', 'rm /t/f')
        until(lambda: resident() < before + 100 * MIB, 'the guest gives its pages back')

    def test_one_vm_has_the_gpu_and_another_is_refused_by_its_name(self):
        self.up('first', 'exec sleep 1000', '--gpu')
        refused = self.diatom('run', '--rm', '--name', 'second', '--gpu', 'busybox', 'true', code=125)
        self.assertIn(b'"first" has it', refused.stderr)
        os.kill(self.pid('first'), 9)
        self.diatom('wait', 'first')
        self.diatom('run', '--rm', '--gpu', 'busybox', 'true')

    # A build without BLK=1, as far as who loads it can tell: a copy whose functions for disks have other names.
    def test_a_library_without_disks_is_given_their_files(self):
        real = pathlib.Path(os.environ['DIATOM_LIBKRUN'])
        bare = self.home.path / 'libkrun.so.1'
        bare.write_bytes(real.read_bytes().replace(b'krun_add_disk', b'krun_not_disk'))
        without = {'DIATOM_LIBKRUN': str(bare)}
        self.assertIn(b'no disks', self.diatom('doctor', env=without).stdout)
        image = self.load_layers(8)
        self.diatom('run', '--name', 'files', image, 'sh', '-c', 'cat /layer*; echo kept >> /kept; wc -l < /kept', env=without)
        words = ''.join(f'{i}\n' for i in range(8))
        self.assertEqual(self.logs('files'), words + '1\n')
        self.assertEqual(self.diatom('diff', 'files').stdout, b'A /kept\n')
        for variables, lines in ({}, 2), (without, 3):  # the same writable layer either way
            self.assertEqual(self.diatom('start', '-a', 'files', env=variables).stdout.decode(), f'{words}{lines}\n')

    def load_layers(self, count: int) -> str:
        """An image whose every layer has a file at the very beginning of its data."""
        layout = Layout()
        layers = [Layer().file(f'layer{i}', f'{i}\n'.encode()).tar() for i in range(count)]
        layout.add('layers', [busybox_image.layer(), *layers])
        archive = layout.write_tar(self.home.path / 'layers.tar')
        self.diatom('load', '-i', archive)
        return 'layers'

    def test_tsi_is_refused_where_the_kernel_cannot_bound_it(self):
        if BOUNDS_PORTS:
            self.skipTest('this kernel has Landlock rules for ports')
        refused = self.diatom('run', '--rm', '--network', 'tsi', 'busybox', 'true', code=125)
        self.assertIn(b'Linux 6.7', refused.stderr)

    def test_tsi_is_the_hosts_network_with_the_published_ports_and_no_others(self):
        if not BOUNDS_PORTS:
            self.skipTest('this kernel has no Landlock rules for ports')
        refused = self.diatom('run', '--rm', '--network', 'tsi', '-p', '8080:80', 'busybox', 'true', code=125)
        self.assertIn(b'every address of this host', refused.stderr)
        with socket.create_server(('127.0.0.1', 0)) as server:
            server.settimeout(DEADLINE)
            port = server.getsockname()[1]
            with Reader(self, 'run', '--rm', '--network', 'tsi', 'busybox', 'nc', '127.0.0.1', port) as out:
                connection, _ = server.accept()
                with connection:
                    connection.sendall(b'from the host')
                self.assertEqual(out.rest(), b'from the host')
        self.up('web', 'mkdir /w; echo from the guest > /w/page; httpd -p 80 -h /w; exec sleep 1000', '--network', 'tsi',
                '-p', '0.0.0.0:8080:80')
        until(lambda: page_at(8080) == b'from the guest\n', 'the published port answers')
        self.assertIn('Permission denied', self.sh('web', 'nc -l -p 9999 2>&1', code=1))


def page_at(port: int) -> bytes:
    try:
        with urllib.request.urlopen(f'http://127.0.0.1:{port}/page', timeout=DEADLINE) as answer:
            return answer.read()
    except OSError:
        return b''


if __name__ == '__main__':
    main()
