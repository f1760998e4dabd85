#!/usr/bin/env python3
"""What goes in and out of a container's file system: cp, export, diff, commit; of containers that run, stand still, have
ended or were never started."""
import hashlib
import io
import json
import os
import pathlib
import signal
import stat
import subprocess
import sys
import tarfile
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from containers import BoxTest, ContainerTest, EventReader, Reader  # noqa: E402
from diatom import DEADLINE, main  # noqa: E402
from file_tree import read_tree  # noqa: E402


class WithFiles:
    """A folder of the test's own on the host, `here`."""

    def setUp(self):
        super().setUp()
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.here = pathlib.Path(scratch.name)

    def write(self, name: str, content: bytes | str = b'', mode: int = 0o644) -> pathlib.Path:
        path = self.here / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)
        return path

    def read_tar(self, *words) -> dict[str, tarfile.TarInfo]:
        data = self.diatom(*words).stdout
        self.archive = tarfile.open(fileobj=io.BytesIO(data))
        return {member.name: member for member in self.archive.getmembers()}


class Running(WithFiles, BoxTest):
    OPTIONS = ('--tmpfs', '/ram:exec')

    def test_a_file_there_and_back(self):
        data = os.urandom(3_000_001)
        self.write('file', data, 0o640)
        self.diatom('cp', self.here / 'file', 'box:/tmp/there')
        self.assertEqual(self.sh('box', 'sha256sum < /tmp/there; stat -c "%a %u:%g" /tmp/there').split(),
                         [hashlib.sha256(data).hexdigest(), '-', '640', '0:0'])
        self.diatom('container', 'cp', 'box:/tmp/there', self.here / 'back')
        self.assertEqual((self.here / 'back').read_bytes(), data)
        self.assertEqual((self.here / 'back').stat().st_mode & 0o7777, 0o640)
        self.assertEqual((self.here / 'back').stat().st_uid, os.getuid())
        self.assertEqual((self.here / 'back').stat().st_mtime_ns, (self.here / 'file').stat().st_mtime_ns)

    def test_where_things_go(self):
        self.write('dir/sub/inner', 'inner')
        self.write('file', 'file')
        self.sh('box', 'rm -rf /w; mkdir -p /w/there; echo old > /w/old; ln -s there /w/link')
        for source, target in (('dir', 'new'), ('dir', 'there'), ('dir/.', 'contents'), ('dir/.', 'there'), ('file', 'old'),
                               ('file', 'link'), ('file', 'there/renamed'), ('dir/', 'link/')):
            self.diatom('cp', f'{self.here}/{source}', f'box:/w/{target}')
        self.assertEqual(self.sh('box', 'cd /w; find . | sort; cat old').split(), """
            . ./contents ./contents/sub ./contents/sub/inner ./link ./new ./new/sub ./new/sub/inner ./old ./there ./there/dir
            ./there/dir/sub ./there/dir/sub/inner ./there/file ./there/renamed ./there/sub ./there/sub/inner file""".split())
        for words, code, why in ((('dir', 'old'), 1, b'take the place of a file'), (('file', 'none/'), 1, b'no such directory'),
                                 (('file', 'no/such/x'), 1, b'No such file'), (('none', 'x'), 1, b'No such file'),
                                 (('file', 'old/'), 1, b'no directory')):
            result = self.diatom('cp', self.here / words[0], f'box:/w/{words[1]}', code=code)
            self.assertIn(why, result.stderr)
        self.assertIn(b'No such file', self.diatom('cp', 'box:/no/such', self.here, code=1).stderr)
        self.assertIn(b'neither place', self.diatom('cp', 'a', 'b', code=1).stderr)
        self.assertIn(b'both places', self.diatom('cp', 'a:b', 'c:d', code=1).stderr)
        self.assertIn(b'there is none', self.diatom('cp', 'nobody:/x', '.', code=1).stderr)
        self.diatom('cp', 'box:/w/.', self.here / 'all')
        self.assertEqual((self.here / 'all/there/sub/inner').read_text(), 'inner')
        self.assertEqual(os.readlink(self.here / 'all/link'), 'there')
        self.diatom('cp', '-L', 'box:/w/link', self.here / 'followed')
        self.assertTrue((self.here / 'followed/renamed').is_file())
        self.diatom('cp', 'box:w/old', self.here / 'relative')  # from the root
        self.assertEqual((self.here / 'relative').read_text(), 'file')

    def test_it_sees_what_the_programs_see(self):
        self.write('file', 'ram')
        self.diatom('cp', self.here / 'file', 'box:/ram/file')
        self.assertEqual(self.sh('box', 'cat /ram/file; umount /ram 2>/dev/null; ls /ram'), 'ramfile\n')
        self.diatom('cp', 'box:/ram/file', self.here / 'back')
        self.assertEqual((self.here / 'back').read_text(), 'ram')
        self.assertIn('box', self.diatom('ps').stdout.decode())
        # The kernel's file systems are looked into by nobody.
        names = self.read_tar('cp', 'box:/', '-')
        self.assertIn('./proc', names)
        self.assertFalse([name for name in names if name.startswith(('./proc/', './sys/', './dev/pts/'))])
        self.assertIn('./ram/file', names)
        self.assertIn('./etc/hosts', names)

    def test_a_tar_in_and_out(self):
        self.sh('box', 'rm -rf /t; mkdir /t /t/d; echo x > /t/d/a; ln /t/d/a /t/d/b; ln -s a /t/d/l; mkfifo /t/d/p; '
                'mknod /t/d/n c 1 3; chown 7:8 /t/d/a; chmod 4755 /t/d/a; truncate -s 100M /t/d/sparse; '
                'echo end >> /t/d/sparse; touch -d "2001-02-03 04:05:06" /t/d')
        names = self.read_tar('cp', 'box:/t/d', '-')
        self.assertEqual((names['d/a'].uid, names['d/a'].gid, names['d/a'].mode), (7, 8, 0o4755))
        self.assertEqual(names['d/b'].linkname, 'd/a')
        self.assertTrue(names['d/b'].islnk() and names['d/l'].issym() and names['d/p'].isfifo() and names['d/n'].ischr())
        self.assertEqual(names['d/sparse'].size, (100 << 20) + 4)
        data = self.diatom('cp', 'box:/t/d', '-').stdout
        self.assertLess(len(data), 1 << 20)
        self.sh('box', 'mkdir /t/again')
        self.diatom('cp', '-', 'box:/t/again', stdin=data)
        self.assertEqual(self.sh('box', 'cd /t/again/d; stat -c "%n %a %u:%g %h" a b; readlink l; stat -c %F p n; '
                                 'du -k sparse | cut -f1; tail -c 4 sparse; stat -c %Y .'),
                         'a 4755 7:8 2\nb 4755 7:8 2\na\nfifo\ncharacter special file\n'
                         + self.sh('box', 'du -k /t/d/sparse | cut -f1') + 'end\n981173106\n')
        self.assertIn(b'No such file', self.diatom('cp', '-', 'box:/none', stdin=data, code=1).stderr)
        self.assertIn(b'no directory', self.diatom('cp', '-', 'box:/t/d/a', stdin=data, code=1).stderr)
        self.assertIn(b'no header', self.diatom('cp', '-', 'box:/t', stdin=b'x' * 1024, code=1).stderr)
        self.assertIn(b'too early', self.diatom('cp', '-', 'box:/t', stdin=data[:700], code=1).stderr)

    def test_owners_are_kept_when_wanted(self):
        if os.getuid() != 0:
            self.skipTest('needs root, to own files as others')
        self.write('file')
        os.chown(self.here / 'file', 1234, 5678)
        self.diatom('cp', '-a', self.here / 'file', 'box:/tmp/kept')
        self.diatom('cp', self.here / 'file', 'box:/tmp/rooted')
        self.assertEqual(self.sh('box', 'stat -c %u:%g /tmp/kept /tmp/rooted'), '1234:5678\n0:0\n')
        self.diatom('cp', '-a', 'box:/tmp/kept', self.here / 'kept')
        self.diatom('cp', 'box:/tmp/kept', self.here / 'mine')
        self.assertEqual((self.here / 'kept').stat().st_uid, 1234)
        self.assertEqual((self.here / 'mine').stat().st_uid, 0)

    def test_devices_and_privileges_stay_in_the_container(self):
        self.sh('box', 'rm -rf /h; mkdir /h; mknod /h/disk b 8 0; echo x > /h/suid; chmod 6755 /h/suid')
        result = self.diatom('cp', 'box:/h', self.here / 'h')
        self.assertIn(b'disk', result.stderr)
        self.assertEqual(os.listdir(self.here / 'h'), ['suid'])
        self.assertEqual((self.here / 'h/suid').stat().st_mode & 0o7777, 0o755)

    def test_links_lead_nowhere_else(self):
        """In the container to the host's paths; on the host to the container's."""
        secret = self.write('secret', 'the host\'s')
        self.sh('box', f'rm -rf /l; mkdir -p /l/tree; ln -s {secret} /l/tree/file; ln -s {self.here} /l/tree/dir; '
                f'ln -s / /l/top; ln -s {self.here}/new /l/dangling; mkdir -p {self.here}; echo inside > {secret}')
        self.diatom('cp', '-L', 'box:/l/tree/file', self.here / 'got')
        self.assertEqual((self.here / 'got').read_text(), 'inside\n')  # the container's own file of that path
        self.diatom('cp', 'box:/l/tree', self.here / 'tree')
        self.assertEqual(os.readlink(self.here / 'tree/file'), str(secret))
        # A second copy goes over the links, and not through them.
        self.sh('box', 'rm /l/tree/file /l/tree/dir; echo evil > /l/tree/file; mkdir /l/tree/dir; echo evil > /l/tree/dir/x')
        result = self.diatom('cp', 'box:/l/tree/.', self.here / 'tree', code=1)
        self.assertIn(b'cannot replace', result.stderr)
        self.assertEqual(secret.read_text(), 'the host\'s')
        self.assertFalse((self.here / 'x').exists())
        # Into the container: a link there leads on inside of it.
        self.write('file', 'in')
        self.diatom('cp', self.here / 'file', 'box:/l/dangling')
        self.assertEqual(self.sh('box', f'cat {self.here}/new'), 'in')
        self.assertFalse((self.here / 'new').exists())
        self.diatom('cp', self.here / 'file', 'box:/l/top/../../../../../../tmp/up')
        self.assertEqual(self.sh('box', 'cat /tmp/up'), 'in')

    def test_programs_that_change_everything_meanwhile(self):
        self.sh('box', 'rm -rf /race; mkdir /race /outside; echo secret > /outside/f; cd /race; '
                'for i in 1 2 3 4 5 6 7 8; do mkdir d$i; echo f > d$i/f; done')
        self.diatom('exec', '-d', 'box', 'sh', '-c', 'cd /race; while [ ! -e /enough ]; do for i in 1 2 3 4 5 6 7 8; do '
                    'mv d$i e$i; ln -s /outside d$i; rm d$i; mv e$i d$i; done; done 2>/dev/null; touch /over')
        for number in range(8):
            self.diatom('cp', 'box:/race', self.here / f'race{number}')
            for path in (self.here / f'race{number}').rglob('*'):
                if path.is_file() and not path.is_symlink():
                    self.assertEqual(path.read_text(), 'f\n', path)
        self.sh('box', 'touch /enough; while [ ! -e /over ]; do sleep 0.05; done; rm -r /race')

    def test_ten_thousand_files_there_and_back(self):
        for number in range(10_000):
            self.write(f'many/{number % 100}/{number}', str(number))
        self.diatom('cp', self.here / 'many', 'box:/tmp/many')
        self.assertEqual(self.sh('box', 'find /tmp/many -type f | wc -l; cat /tmp/many/99/9999'), '10000\n9999')
        self.diatom('cp', 'box:/tmp/many', self.here / 'back')
        self.assertEqual(read_tree(self.here / 'back'), read_tree(self.here / 'many'))
        self.sh('box', 'rm -rf /tmp/many')

    def test_an_interrupt_leaves_nothing_half_done(self):
        self.sh('box', 'rm -rf /i; mkdir -p /i/d; cd /i/d; echo a > a; dd if=/dev/zero of=b bs=1M count=300 2>/dev/null')
        before = len(os.listdir(self.here))
        process = self.home.popen('cp', 'box:/i/d', self.here / 'out', stderr=subprocess.PIPE)
        while not (self.here / 'out/b').exists():
            self.assertIsNone(process.poll())
        process.send_signal(signal.SIGINT)
        error = process.communicate(timeout=DEADLINE)[1]
        self.assertEqual(process.returncode, 130)
        self.assertIn(b'interrupted', error)
        self.assertEqual(os.listdir(self.here / 'out'), ['a'])
        self.assertEqual(len(os.listdir(self.here)), before + 1)
        # The other way: what is being written in the container when its source ends goes.
        read_end, write_end = os.pipe()
        process = self.home.popen('cp', '-', 'box:/i', stdin=read_end, stderr=subprocess.PIPE)
        os.close(read_end)
        header = tarfile.TarInfo('half')
        header.size = 100 << 20
        os.write(write_end, header.tobuf() + bytes(60_000))
        self.sh('box', 'while [ ! -e /i/half ]; do sleep 0.05; done')
        process.send_signal(signal.SIGINT)
        error = process.communicate(timeout=DEADLINE)[1]
        os.close(write_end)
        self.assertEqual(process.returncode, 130, error)
        self.assertEqual(self.sh('box', 'ls /i'), 'd\n')

    def test_one_that_is_killed_leaves_nothing_half_done_in_the_container(self):
        read_end, write_end = os.pipe()
        process = self.home.popen('cp', '-', 'box:/tmp', stdin=read_end)
        os.close(read_end)
        header = tarfile.TarInfo('killed')
        header.size = 100 << 20
        os.write(write_end, header.tobuf() + bytes(60_000))
        self.sh('box', 'while [ ! -e /tmp/killed ]; do sleep 0.05; done')
        process.kill()
        process.wait()
        os.close(write_end)
        self.sh('box', 'while [ -e /tmp/killed ]; do sleep 0.05; done')

    def test_while_it_is_paused(self):
        self.write('file', 'frozen')
        self.diatom('pause', 'box')
        try:
            self.diatom('cp', self.here / 'file', 'box:/tmp/frozen')
            self.diatom('cp', 'box:/tmp/frozen', self.here / 'back')
            self.assertEqual((self.here / 'back').read_text(), 'frozen')
            self.assertIn(b'/tmp/frozen', self.diatom('diff', 'box').stdout)
            self.diatom('commit', 'box')
            self.assertEqual(self.status('box'), 'paused')
        finally:
            self.diatom('unpause', 'box')

    def test_what_does_not_fit_is_said_and_goes(self):
        self.sh('box', 'mkdir -p /small; mount -t tmpfs -o size=1m none /small', '--privileged')
        self.write('big', os.urandom(4 << 20))
        result = self.diatom('cp', self.here / 'big', 'box:/small/big', code=1)
        self.assertIn(b'No space left', result.stderr)
        self.assertEqual(self.sh('box', 'ls /small'), '')

    def test_events(self):
        self.write('file')
        with EventReader(self, '--filter', 'container=box') as events:
            self.diatom('cp', self.here / 'file', 'box:/tmp/e')
            events.next('extract-to-dir')
            self.diatom('cp', 'box:/tmp/e', self.here / 'e')
            events.next('archive-path')
            image = self.diatom('commit', '-m', 'why', 'box').stdout.decode().strip()
            events.next('pause')
            events.next('unpause')
            event = events.next('commit')
            self.assertEqual(event['Actor']['Attributes']['imageID'], image)
            self.assertEqual(event['Actor']['Attributes']['comment'], 'why')


class Stopped(WithFiles, ContainerTest):
    def look(self, name: str) -> dict:
        info = self.inspect(name)
        folder = self.home.path / 'home/containers' / info['Id']
        logs = {log: (folder / log).read_bytes() for log in ('console.log', 'container.log') if (folder / log).exists()}
        files = set(os.listdir(folder)) - {'upper.ext4'}  # made by the first to look into it
        return {'state': info['State'], 'files': sorted(files), 'logs': logs}

    def test_one_that_was_never_started(self):
        self.diatom('create', '--name', 'new', 'busybox', 'cat', '/given/file')
        before = self.look('new')
        self.write('given/file', 'given')
        self.diatom('cp', self.here / 'given', 'new:/')
        self.assertEqual(self.look('new'), before)
        self.assertEqual(before['state']['Status'], 'created')
        self.assertEqual(self.diatom('start', '-a', 'new').stdout, b'given')

    def test_one_that_has_ended(self):
        self.diatom('run', '--name', 'old', 'busybox', 'sh', '-c', 'echo made > /made; echo said; exit 3', code=3)
        before = self.look('old')
        self.diatom('cp', 'old:/made', self.here / 'made')
        self.assertEqual((self.here / 'made').read_text(), 'made\n')
        self.assertIn(b'No such file', self.diatom('cp', 'old:/none', self.here, code=1).stderr)
        self.assertEqual(self.diatom('diff', 'old').stdout, b'A /made\n')
        names = self.read_tar('export', 'old')
        self.assertIn('made', names)
        self.diatom('commit', 'old', 'made:1')
        self.assertEqual(self.diatom('run', '--rm', 'made:1', 'cat', '/made').stdout, b'made\n')
        self.assertEqual(self.look('old'), before)
        self.assertEqual(self.logs('old'), 'said\n')
        self.diatom('rmi', 'made:1')

    def test_a_start_meanwhile_waits_or_says_why_not(self):
        self.diatom('create', '--name', 'busy', 'busybox', 'true')
        read_end, write_end = os.pipe()
        process = self.home.popen('cp', '-', 'busy:/tmp', stdin=read_end, stderr=subprocess.PIPE)
        os.close(read_end)
        folder = self.home.path / 'home/containers' / self.inspect('busy')['Id']
        while not (folder / 'maintenance').exists():
            self.assertIsNone(process.poll())
        result = self.diatom('start', 'busy', code=1)
        self.assertIn(b'files', result.stderr)
        self.assertEqual(self.status('busy'), 'created')
        os.close(write_end)  # an empty tar: nothing to be done
        self.assertEqual(process.wait(DEADLINE), 0, process.stderr.read())
        process.stderr.close()
        self.diatom('start', '-a', 'busy')

    def test_a_caller_that_is_killed_leaves_nothing_behind(self):
        self.diatom('create', '--name', 'left', 'busybox', 'true')
        before = self.look('left')
        with Reader(self, 'cp', '-', 'left:/tmp', stdin=subprocess.PIPE) as copy:
            folder = self.home.path / 'home/containers' / self.inspect('left')['Id']
            while not (folder / 'maintenance').exists():
                self.assertIsNone(copy.process.poll())
            while (folder / 'maintenance').exists():  # until the guest is up
                self.assertIsNone(copy.process.poll())
        self.assertEqual(self.look('left'), before)
        self.diatom('start', '-a', 'left')  # its lock is free, and its disk is whole

    def test_an_interrupt_ends_its_vm_in_order(self):
        self.diatom('create', '--name', 'cut', 'busybox', 'ls', '/tmp')
        read_end, write_end = os.pipe()
        process = self.home.popen('cp', '-', 'cut:/tmp', stdin=read_end, stderr=subprocess.PIPE)
        os.close(read_end)
        header = tarfile.TarInfo('half')
        header.size = 1 << 20
        os.write(write_end, header.tobuf() + bytes(1000))
        folder = self.home.path / 'home/containers' / self.inspect('cut')['Id']
        while not (folder / 'maintenance').exists():
            self.assertIsNone(process.poll())
        while (folder / 'maintenance').exists():
            self.assertIsNone(process.poll())
        process.send_signal(signal.SIGINT)
        self.assertIn(b'interrupted', process.communicate(timeout=DEADLINE)[1])
        os.close(write_end)
        self.assertEqual(process.returncode, 130)
        self.assertEqual(self.diatom('start', '-a', 'cut').stdout, b'')

    def test_a_read_only_one_has_nothing_to_write_on(self):
        self.diatom('create', '--read-only', '--name', 'fixed', 'busybox', 'true')
        self.write('file')
        self.assertIn(b'read-only', self.diatom('cp', self.here / 'file', 'fixed:/', code=1).stderr)
        self.assertEqual(self.diatom('diff', 'fixed').stdout, b'')


class Commit(WithFiles, ContainerTest):
    def image_of(self, name: str, script: str, *options) -> str:
        """An image with the script's changes over busybox."""
        self.diatom('run', '--name', name, 'busybox', 'sh', '-c', script)
        out = self.diatom('commit', *options, name, f'{name}:latest').stdout.decode().strip()
        self.diatom('rm', name)
        self.addCleanup(self.diatom, 'rmi', '-f', name)
        return out

    def unpacked(self, image: str) -> pathlib.Path:
        """What umoci, another's judge, makes of it."""
        tar, layout = self.here / 'image.tar', self.here / 'layout'
        self.diatom('save', '-o', tar, image)
        layout.mkdir()
        subprocess.run(['tar', '-C', layout, '-xf', tar], check=True)
        index = json.loads((layout / 'index.json').read_text())
        (manifest,) = index['manifests']
        manifest.setdefault('annotations', {})['org.opencontainers.image.ref.name'] = 'judged'
        (layout / 'index.json').write_text(json.dumps(index))
        bundle = self.here / 'bundle'
        command = ['umoci', 'unpack', '--image', f'{layout}:judged', str(bundle)]
        if os.getuid() != 0:
            command.insert(2, '--rootless')
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return bundle / 'rootfs'

    def test_all_kinds_of_changes_and_umoci_agrees(self):
        self.image_of('base', 'mkdir -p /d/deep /opaque/old /todir; echo 1 > /d/deep/a; echo 2 > /d/b; echo 3 > /opaque/old/c; '
                      'echo 4 > /todir.file; echo 5 > /tofile; echo 6 > /changed; ln /changed /hard; mkdir /tofile.dir; '
                      'echo 7 > /tofile.dir/x; ln -s d /tolink; echo 8 > /linked')
        script = ('rm -r /d/deep; rm /d/b; rm -r /opaque; mkdir /opaque; echo n > /opaque/new; rm /todir.file; mkdir /todir.file; '
                  'echo n > /todir.file/n; rm -r /tofile.dir; echo n > /tofile.dir; echo n >> /changed; chmod 4711 /linked; '
                  'rm /tolink; mkdir /tolink; mkfifo /fifo; ln /opaque/new /second; chown 3:4 /second; mv /todir /moved; '
                  'ln -s nowhere /dangling; echo x > /fresh; rm /fresh; touch -d "2001-02-03 04:05:06" /tofile')
        self.diatom('run', '--name', 'top', 'base', 'sh', '-c', script)
        lines = sorted(self.diatom('diff', 'top').stdout.decode().splitlines())
        self.assertEqual(lines, ['A /dangling', 'A /fifo', 'A /moved', 'A /opaque/new', 'A /second', 'A /todir.file/n', 'C /changed',
                                 'C /d', 'C /linked', 'C /opaque', 'C /todir.file', 'C /tofile', 'C /tofile.dir', 'C /tolink',
                                 'D /d/b', 'D /d/deep', 'D /todir'])
        as_json = self.home.json('diff', '--format', 'json', 'top')
        self.assertEqual(as_json['deleted'], ['/d/b', '/d/deep', '/todir'])
        self.diatom('commit', 'top', 'top')
        self.addCleanup(self.diatom, 'rmi', '-f', 'top')
        rootfs = self.unpacked('top')
        there = {str(path.relative_to(rootfs)) for path in rootfs.rglob('*')
                 if path.relative_to(rootfs).parts[0] not in ('bin', 'etc', 'dev', 'proc', 'sys', 'home', 'root', 'tmp', 'usr')}
        self.assertLessEqual({'d', 'opaque/new', 'todir.file/n', 'tofile.dir', 'tolink', 'fifo', 'second', 'moved', 'hard'}, there)
        self.assertFalse({'d/deep', 'd/b', 'opaque/old', 'todir', 'fresh', 'tofile.dir/x'} & there)
        self.assertFalse([path for path in there if '.wh.' in path])
        self.assertTrue(stat.S_ISDIR((rootfs / 'tolink').lstat().st_mode))
        self.assertEqual((rootfs / 'linked').stat().st_mode & 0o7777, 0o4711)
        self.assertEqual((rootfs / 'second').stat().st_ino, (rootfs / 'opaque/new').stat().st_ino)
        self.assertEqual((rootfs / 'hard').read_text(), '6\n')
        self.assertEqual((rootfs / 'changed').read_text(), '6\nn\n')
        # And our own reader of layers sees what umoci sees.
        listed = self.guest_of('top', 'cd /; find d opaque todir* tofile* changed hard tolink linked fifo second moved dangling')
        wanted = {path for path in there if path.split('/')[0].startswith(
            ('d', 'opaque', 'todir', 'tofile', 'changed', 'hard', 'tolink', 'linked', 'fifo', 'second', 'moved'))}
        self.assertEqual(set(listed.split()), wanted)

    def guest_of(self, image: str, script: str) -> str:
        return self.diatom('run', '--rm', image, 'sh', '-c', script).stdout.decode()

    def test_nothing_of_ours_is_a_change(self):
        self.diatom('run', '--name', 'still', 'busybox', 'true')
        self.assertEqual(self.diatom('diff', 'still').stdout, b'')
        parent = self.home.json('image', 'inspect', 'busybox')[0]
        image = self.diatom('commit', 'still').stdout.decode().strip()
        info = self.home.json('image', 'inspect', image)[0]
        self.assertEqual(info['RootFS']['Layers'], parent['RootFS']['Layers'])
        self.diatom('rmi', image)

    def test_the_config_is_the_containers_and_the_changes(self):
        self.diatom('create', '--name', 'made', '-e', 'A=1', '-e', 'B=2', '-w', '/tmp', '-u', '7', '-l', 'who=me', '--expose', '80',
                    '--stop-signal', 'USR1', 'busybox', 'echo', 'hello')
        image = self.diatom('commit', '-a', 'Jane <j@example.com>', '-m', 'because', '-c', 'ENV B=3 C=4', '-c', 'CMD ["id"]',
                            '--pause=false', 'made', 'made:2').stdout.decode().strip()
        info = self.home.json('image', 'inspect', 'made:2')[0]
        self.assertEqual(info['Id'], image)
        config = info['Config']
        self.assertLessEqual({'A=1', 'B=3', 'C=4'}, set(config['Env']))
        self.assertEqual((config['Cmd'], config['WorkingDir'], config['User'], config['StopSignal']), (['id'], '/tmp', '7', 'USR1'))
        self.assertEqual(config['Labels']['who'], 'me')
        self.assertIn('80/tcp', config['ExposedPorts'])
        self.assertEqual(info['Author'], 'Jane <j@example.com>')
        newest = json.loads(self.diatom('history', '--format', 'json', 'made:2').stdout.splitlines()[0])
        self.assertEqual((newest['Comment'], newest['CreatedBy']), ('because', 'echo hello'))
        for words, why in ((('-c', 'RUN x', 'made'), b'RUN x'), (('made', 'UPPER:x'), b'UPPER'), (('nobody',), b'there is none')):
            self.assertIn(why, self.diatom('commit', *words, code=1).stderr)
        self.diatom('rmi', 'made:2')

    def test_it_is_unpaused_whatever_happens(self):
        self.up('live', 'dd if=/dev/zero of=/big bs=1M count=200 2>/dev/null; sync; while :; do sleep 0.1; done')
        self.sh('live', 'while [ $(stat -c %s /big) -lt 209715200 ]; do sleep 0.1; done')
        before = self.home.files()
        for signal_number in (signal.SIGINT, signal.SIGKILL):
            with EventReader(self, '--filter', 'container=live') as events:
                process = self.home.popen('commit', 'live', stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                events.next('pause')
                process.send_signal(signal_number)
                process.wait(DEADLINE)
                events.next('unpause')
            self.assertEqual(self.status('live'), 'running')
        self.sh('live', 'true')
        self.home.run('image', 'prune', '-f')
        self.assertEqual({path for path in self.home.files() - before if 'ingest' not in path}, set())


if __name__ == '__main__':
    main()
