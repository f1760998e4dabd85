#!/usr/bin/env python3
"""What `run` says when something is wrong, and that nothing is left behind. (Bad images: tests/integration.)"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from diatom import BINARY, DEADLINE, ROOT, Home, HomeTest, main  # noqa: E402


class RefusedBeforeAnyVm(HomeTest):
    """Each is an error that names the object; no container and no file is left."""

    def refused(self, *words, named: str, code: int = 125, **more):
        before = self.home.files()
        result = self.diatom('run', *words, code=code, **more)
        self.assertIn(named.encode(), result.stderr)
        self.assertEqual(result.stdout, b'')
        self.assertEqual(self.home.containers(), [])
        self.assertEqual(self.home.files(), before)

    def test_no_such_image(self):
        self.refused('nobody/has:this', 'true', named='nobody/has:this')

    def test_memory_that_is_no_size(self):
        self.refused('-m', '12zz', 'busybox', 'true', named='"12zz"')

    def test_cpus_that_are_no_number(self):
        for text in ('two', '-1', '0', 'nan', '1x'):
            self.refused(f'--cpus={text}', 'busybox', 'true', named=f'"{text}"')

    def test_an_engine_that_does_not_exist(self):
        self.refused('--engine', 'warp', 'busybox', 'true', named='warp')

    def test_qemu_is_not_installed(self):
        self.refused('busybox', 'true', named='no-such-qemu', env={'DIATOM_QEMU': '/no-such-qemu'})

    def test_doctor_says_what_is_missing_and_its_exit_status_tells(self):
        for missing in ({'DIATOM_QEMU': '/no-such-qemu'}, {'DIATOM_GUEST': '/no-such-guest'}):
            said = self.diatom('doctor', code=1, env=missing).stdout.decode()
            self.assertIn('MISSING', said)
            self.assertIn('no container can run here', said)
            told = json.loads(self.diatom('doctor', '--json', code=1, env=missing).stdout)
            self.assertFalse(told['usable'])
            self.assertIn(list(missing.values())[0], json.dumps([c for c in told['checks'] if not c['ok']]))
        self.assertTrue(json.loads(self.diatom('doctor', '--json').stdout)['usable'])

    def test_the_kernel_is_missing(self):
        self.refused('busybox', 'true', named='/no-such-guest', env={'DIATOM_GUEST': '/no-such-guest'})

    def test_a_name_that_is_not_allowed(self):
        for name in ('-x', 'a b', '../up', 'é', 'x'):
            self.refused(f'--name={name}', 'busybox', 'true', named=f'"{name}"')

    def test_an_env_file_that_is_not_there_or_not_one(self):
        self.refused('--env-file', '/no/such.env', 'busybox', 'true', named='/no/such.env')
        self.refused('--env-file', str(BINARY.parent), 'busybox', 'true', named=str(BINARY.parent))

    def test_an_env_without_a_name(self):
        self.refused('-e', '=value', 'busybox', 'true', named='=value')

    def test_a_relative_working_directory_or_tmpfs(self):
        self.refused('-w', 'relative', 'busybox', 'true', named='relative')
        self.refused('--tmpfs', 'relative', 'busybox', 'true', named='relative')

    def test_a_cidfile_that_exists(self):
        with tempfile.NamedTemporaryFile() as file:
            self.refused('--cidfile', file.name, 'busybox', 'true', named=file.name)


class FailedInTheGuest(HomeTest):
    def test_a_program_that_is_not_there_leaves_nothing_with_rm(self):
        self.diatom('run', '--rm', 'busybox', '/no/such', code=127)
        self.assertEqual(self.home.containers(), [])

    def test_a_tmpfs_option_that_the_kernel_refuses_is_named(self):
        result = self.diatom('run', '--rm', '--tmpfs', '/x:size=lots', 'busybox', 'true', code=125)
        self.assertIn(b'/x', result.stderr)


class KernelTrouble(HomeTest):
    def test_a_kernel_that_is_none(self):
        with tempfile.TemporaryDirectory() as guest:
            for name in ('kernel', 'initramfs.cpio'):
                pathlib.Path(guest, name).write_bytes(b'not a kernel')
            result = self.diatom('run', '--rm', 'busybox', 'true', code=125, env={'DIATOM_GUEST': guest})
            self.assertIn(b'kernel', result.stderr.lower())

    def test_a_guest_that_panics_shows_its_last_words(self):
        with tempfile.TemporaryDirectory() as guest:
            shutil.copy(ROOT / 'build/share/diatom/guest/kernel', guest)
            subprocess.run([ROOT / 'tools/make_initramfs.py', pathlib.Path(guest, 'initramfs.cpio'), '/etc/hostname'],
                           check=True)
            result = self.diatom('run', '--rm', 'busybox', 'true', code=125, env={'DIATOM_GUEST': guest})
            self.assertIn(b'panic', result.stderr)


class DiskFull(HomeTest):
    def test_no_room_for_the_container(self):
        if os.getuid() != 0:
            self.skipTest('needs root, to mount a small tmpfs')
        small = tempfile.mkdtemp(prefix='diatom-small-')
        subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', small], check=True)
        try:
            with Home(directory=small) as home:
                filler = pathlib.Path(small, 'filler')
                with open(filler, 'wb') as file:
                    try:
                        while True:
                            os.write(file.fileno(), b'\0' * 4096)
                    except OSError:
                        pass
                result = home.run('run', '--rm', 'busybox', 'true')
                self.assertEqual(result.returncode, 125, result.stderr)
                self.assertIn(b'No space left', result.stderr)
                filler.unlink()
                self.assertEqual(home.containers(), [])
        finally:
            subprocess.run(['umount', small], check=True)
            os.rmdir(small)


class OrdinaryUser(HomeTest):
    """The whole way as an ordinary user: from a folder that is not ours to the guest's output."""

    def test_install_load_run_and_remove(self):
        if os.getuid() != 0:
            self.skipTest('not root: every other test already runs as an ordinary user')
        with tempfile.TemporaryDirectory() as scratch:
            os.chmod(scratch, 0o755)
            subprocess.run(['cmake', '--install', ROOT / 'build', '--prefix', f'{scratch}/prefix'], check=True,
                           stdout=subprocess.DEVNULL)
            subprocess.run([ROOT / 'tools/busybox_image.py', f'{scratch}/busybox.tar', 'busybox'], check=True)
            home = f'{scratch}/home'
            os.mkdir(home)
            os.chown(home, 65534, 65534)

            def as_nobody(*words):
                return subprocess.run([f'{scratch}/prefix/bin/diatom', *words], user=65534, group=65534, extra_groups=[],
                                      env={'HOME': home, 'PATH': '/usr/bin:/bin'}, cwd='/', stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=DEADLINE)

            for words, wanted in ((['image', 'load', '-i', f'{scratch}/busybox.tar'], b'busybox'),
                                  (['doctor'], b'containers run here'),
                                  (['run', '--name', 'mine', 'busybox', 'id', '-u'], b'0\n'),
                                  (['rm', 'mine'], b'mine'),
                                  (['image', 'rm', 'busybox'], b'Deleted')):
                result = as_nobody(*words)
                self.assertEqual(result.returncode, 0, (words, result.stderr))
                self.assertIn(wanted, result.stdout)
            self.assertTrue(os.path.isdir(f'{home}/.local/share/diatom'))


class Interrupted(HomeTest):
    def test_control_c_at_any_stage_leaves_nothing(self):
        before = self.home.files()
        for stage in ('image', 'upper', 'vmm', 'agent', 'started'):
            process = self.home.popen('run', '--rm', 'busybox', 'sleep', '1000', env={'DIATOM_TRACE': '1'},
                                      stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            for line in process.stderr:
                if stage.encode() in line:
                    break
            # A program that is PID 1 ignores SIGINT; docker, too, gives up at the third.
            while process.poll() is None:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(1)
                except subprocess.TimeoutExpired:
                    pass
            self.assertEqual(process.wait(DEADLINE), 130, stage)
            process.stderr.close()
            self.assertEqual(self.home.containers(), [])
            self.assertEqual({f for f in self.home.files() - before if not f.startswith('templates')}, set(), stage)


if __name__ == '__main__':
    main()
