#!/usr/bin/env python3
"""What a container's processes find in their guest, and what they cannot do there: devices, memory, mounts, settings."""
import hashlib
import io
import json
import pathlib
import sys
import tarfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from diatom import ROOT, HomeTest, main  # noqa: E402

sys.path.insert(0, str(ROOT / 'tools'))
import busybox_image  # noqa: E402


def docker_archive(name: str, *layers: bytes) -> bytes:
    """An image as `docker save` writes it."""
    config = {'architecture': busybox_image.ARCH, 'os': 'linux', 'config': {'Cmd': ['sh']},
              'rootfs': {'type': 'layers', 'diff_ids': ['sha256:' + hashlib.sha256(tar).hexdigest() for tar in layers]}}
    files = {f'{number}.tar': tar for number, tar in enumerate(layers)}
    manifest = [{'Config': 'config.json', 'RepoTags': [f'{name}:latest'], 'Layers': list(files)}]
    files |= {'config.json': json.dumps(config).encode(), 'manifest.json': json.dumps(manifest).encode()}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w') as archive:
        for path, data in files.items():
            busybox_image.add(archive, path, 0o644, data)
    return out.getvalue()


class Devices(HomeTest):
    def test_the_disks_below_the_root_cannot_be_opened_by_a_node_of_ones_own(self):
        out = self.guest('set -- $(cat /sys/block/vd*/dev | tr : " "); '
                         'while [ $# -gt 0 ]; do mknod /tmp/b$2 b $1 $2 && echo made; '
                         'dd if=/tmp/b$2 of=/dev/null bs=512 count=1 2>&1 | grep -o "not permitted"; '
                         'dd if=/dev/zero of=/tmp/b$2 bs=512 count=1 conv=notrunc 2>&1 | grep -o "not permitted"; '
                         'shift 2; done', '--tmpfs', '/tmp:dev')
        self.assertEqual(out, 'made\nnot permitted\nnot permitted\n' * 2)

    def test_nor_can_the_kernels_own_devices(self):
        out = self.guest('for d in "1 1" "1 11" "5 1" "10 229"; do mknod "/tmp/c$d" c $d; '
                         'cat "/tmp/c$d" 2>&1 | grep -o "not permitted"; done', '--tmpfs', '/tmp:dev')
        self.assertEqual(out, 'not permitted\n' * 4)

    def test_the_harmless_ones_work(self):
        out = self.guest('head -c 3 /dev/zero | wc -c; head -c 3 /dev/urandom | wc -c; head -c 3 /dev/random | wc -c; '
                         'echo x > /dev/null && echo gone; echo x 2>/dev/null > /dev/full || echo full; '
                         'mknod /tmp/n c 1 3 && echo x > /tmp/n && echo "own null"; '
                         'exec 3<>/dev/ptmx && echo terminal', '--tmpfs', '/tmp:dev')
        self.assertEqual(out.split('\n'), ['3', '3', '3', 'gone', 'full', 'own null', 'terminal', ''])


class Memory(HomeTest):
    def killed(self, *words, options=()):
        self.diatom('run', '--name', 'greedy', *options, 'busybox', *words, code=137)
        try:
            (info,) = self.home.json('inspect', 'greedy')
            self.assertEqual(info['State']['ExitCode'], 137)
            self.assertTrue(info['State']['OOMKilled'])
            console = (self.home.path / 'home/containers' / info['Id'] / 'console.log').read_text(errors='replace')
            self.assertNotIn('panic', console)
        finally:
            self.diatom('rm', 'greedy')

    def test_a_program_that_eats_it_is_killed_and_not_the_guest(self):
        self.killed('tail', '/dev/zero', options=('-m', '128m'))

    def test_files_of_a_tmpfs_count_too(self):
        self.killed('dd', 'if=/dev/zero', 'of=/big/file', 'bs=1M', options=('-m', '128m', '--tmpfs', '/big:size=1g'))

    def test_a_child_that_eats_it_is_killed_and_the_program_goes_on(self):
        out = self.guest('tail /dev/zero; echo "child: $?"', '-m', '128m')
        self.assertEqual(out, 'child: 137\n')


class Mounts(HomeTest):
    def test_a_tmpfs_over_etc_does_not_hide_the_files_of_the_network(self):
        out = self.guest('grep -c localhost /etc/hosts; cat /etc/hostname; test -f /etc/resolv.conf && echo resolv',
                         '--tmpfs', '/etc', '--hostname', 'here')
        self.assertEqual(out, '2\nhere\nresolv\n')

    def test_a_tmpfs_takes_the_options_of_mount(self):
        out = self.guest('grep " /t " /proc/mounts', '--tmpfs',
                         '/t:rw,exec,suid,dev,sync,dirsync,noatime,nodiratime,atime,diratime,strictatime,relatime,lazytime,'
                         'nolazytime,async,loud,defaults,size=64k')
        options = out.split()[3].split(',')
        for there in ('rw', 'dirsync', 'size=64k'):
            self.assertIn(there, options)
        for absent in ('noexec', 'nosuid', 'nodev', 'sync', 'noatime'):
            self.assertNotIn(absent, options)

    def test_what_docker_hides_is_hidden(self):
        self.assertEqual(self.guest('for d in /sys/firmware /sys/devices/virtual/powercap /proc/scsi /proc/acpi; do '
                                    'test -d $d && ls $d; done; true'), '')

    def test_ports_and_ping_are_open_to_users(self):
        out = self.guest('cd /proc/sys/net/ipv4; cat ip_unprivileged_port_start ping_group_range', '-u', '1000')
        self.assertEqual(out.split(), ['0', '0', '2147483647'])

    def test_an_image_may_have_anything_where_the_files_of_the_network_go(self):
        """A folder, a fifo, a link in a circle: a file takes its place in the writable layer."""
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode='w') as tar:
            for name, kind, target in (('etc/hosts', tarfile.DIRTYPE, ''), ('etc/hosts/deep', tarfile.DIRTYPE, ''),
                                       ('etc/hostname', tarfile.FIFOTYPE, ''),
                                       ('etc/resolv.conf', tarfile.SYMTYPE, 'resolv.conf')):
                entry = tarfile.TarInfo(name)
                entry.type, entry.linkname = kind, target
                tar.addfile(entry)
        self.diatom('image', 'load', stdin=docker_archive('strange', busybox_image.layer(), layer.getvalue()))
        for options in ((), ('--read-only',)):
            result = self.diatom('run', '--rm', '--hostname', 'here', *options, 'strange', 'sh', '-c',
                                 'grep -c localhost /etc/hosts; cat /etc/hostname; test -f /etc/resolv.conf && echo resolv')
            self.assertEqual(result.stdout, b'2\nhere\nresolv\n')


if __name__ == '__main__':
    main()
