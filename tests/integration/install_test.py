#!/usr/bin/env python3
"""What `make install` puts into a package's folder works from there, for root and for an ordinary user. (With a microVM:
tests/vm/bad_input_test.py, OrdinaryUser.)"""
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from diatom import BINARY, DEADLINE, ROOT, main, need  # noqa: E402
from oci_layout import Layout  # noqa: E402
from tar_layer import Layer  # noqa: E402

NOBODY = '65534'
PATH = '/usr/bin:/bin:/usr/sbin:/sbin'


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = pathlib.Path(tempfile.mkdtemp(prefix='diatom-install-'))
        cls.addClassCleanup(shutil.rmtree, cls.scratch)
        os.chmod(cls.scratch, 0o755)
        cls.destdir = cls.scratch / 'package'
        subprocess.run(['cmake', '--install', BINARY.parents[1], '--prefix', '/usr/local'], check=True, timeout=DEADLINE,
                       env=dict(os.environ, DESTDIR=str(cls.destdir)), stdout=subprocess.DEVNULL)
        cls.installed = cls.destdir / 'usr/local/bin/diatom'
        layout = Layout()
        layer = Layer().dir('./').file('etc/owned', b'x', uid=12, gid=34, mode=0o4755).device('char', 'null', 1, 3)
        layout.add('small:1', [layer.tar()])
        cls.archive = layout.write_tar(cls.scratch / 'image.tar')

    def run_installed(self, home: str, *words, as_nobody: bool = False, **env):
        """The binary with nothing of this process's environment."""
        command = [str(self.installed), *map(str, words)]
        if as_nobody:
            command = ['setpriv', '--reuid', NOBODY, '--regid', NOBODY, '--clear-groups', '--no-new-privs', *command]
        return subprocess.run(command, env={'HOME': home, 'PATH': PATH} | env, cwd='/', timeout=DEADLINE,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def test_nothing_is_installed_outside_the_prefix_or_unreadable(self):
        files = [path for path in self.destdir.rglob('*') if not path.is_dir()]
        names = {str(path.relative_to(self.destdir)) for path in files}
        self.assertLessEqual({'usr/local/bin/diatom', 'usr/local/share/diatom/guest/agent.ext4',
                              'usr/local/include/diatom/diatom.h', 'usr/local/include/diatom/runtime.h'}, names)
        for name in names:
            self.assertTrue(name.startswith(('usr/local/bin/', 'usr/local/libexec/', 'usr/local/share/', 'usr/local/include/', 'usr/local/lib/')), name)
        for path in files:
            mode = path.stat().st_mode
            self.assertTrue(mode & stat.S_IROTH and not mode & stat.S_IWOTH, path)

    def test_it_finds_its_guest_and_is_usable(self):
        kernel = self.destdir / 'usr/local/share/diatom/guest/kernel'
        need(self, 'kernel', kernel.exists(), 'this build has no guest kernel (tools/fetch_kernel.py)')
        with tempfile.TemporaryDirectory(dir=self.scratch) as home:
            result = self.run_installed(home, 'doctor', '--json', DIATOM_HOME=f'{home}/store')
            self.assertEqual(result.returncode, 0, result.stderr)
            report = json.loads(result.stdout)
            self.assertTrue(report['usable'], report)
            [found] = [check for check in report['checks'] if check['name'] == 'guest kernel']
            self.assertIn(str(kernel), found['detail'])

    def test_it_finds_its_guest_through_a_link_in_another_folder(self):
        kernel = self.destdir / 'usr/local/share/diatom/guest/kernel'
        need(self, 'kernel', kernel.exists(), 'this build has no guest kernel (tools/fetch_kernel.py)')
        with tempfile.TemporaryDirectory(dir=self.scratch) as home:
            link = pathlib.Path(home, 'diatom')
            link.symlink_to(self.installed)
            result = subprocess.run([link, 'doctor', '--json'], env={'DIATOM_HOME': home, 'PATH': PATH}, timeout=DEADLINE,
                                    stdout=subprocess.PIPE)
            self.assertTrue(json.loads(result.stdout)['usable'])

    def embed(self, folder: pathlib.Path, *command, **env):
        result = subprocess.run([*map(str, command)], cwd=folder, env={'PATH': PATH, 'HOME': str(folder)} | env, text=True,
                                timeout=DEADLINE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return result.stdout

    def library_folder(self) -> pathlib.Path:
        [library] = (self.destdir / 'usr/local').glob('lib*/**/libdiatom.so.0')
        return library.parent

    def test_cmake_finds_the_library_and_a_program_is_built_with_it(self):
        page = (ROOT / 'docs/embedding.md').read_text()
        [cmake] = re.findall(r'^```cmake\n(.*?)^```', page, flags=re.MULTILINE | re.DOTALL)
        [source] = re.findall(r'^```cpp\n(.*?)^```', page, flags=re.MULTILINE | re.DOTALL)
        with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
            folder = pathlib.Path(folder)
            (folder / 'CMakeLists.txt').write_text(cmake)
            (folder / 'hello.cc').write_text(source)
            self.embed(folder, 'cmake', '-S', '.', '-B', 'build', f'-DCMAKE_PREFIX_PATH={self.destdir}/usr/local')
            self.embed(folder, 'cmake', '--build', 'build')
            # There is no such image: it says so, and that it is the installed library which says it.
            result = subprocess.run(['build/hello'], cwd=folder, timeout=DEADLINE, stderr=subprocess.PIPE, text=True,
                                    env={'PATH': PATH, 'HOME': str(folder), 'DIATOM_HOME': f'{folder}/store',
                                         'DIATOM_RUN': f'{folder}/run', 'HTTPS_PROXY': 'http://127.0.0.1:9'})
            self.assertEqual(result.returncode, 1)
            self.assertIn('busybox', result.stderr)

    def test_pkg_config_finds_the_library_and_a_c_program_is_built_with_it(self):
        library = self.library_folder()
        with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
            where = {'PKG_CONFIG_PATH': f'{library}/pkgconfig'}
            self.assertEqual(self.embed(folder, 'pkg-config', '--modversion', 'diatom', **where),
                             self.run_installed(folder, 'version').stdout.decode().split()[1] + '\n')
            flags = self.embed(folder, 'pkg-config', '--cflags', '--libs', 'diatom', **where).split()
            self.embed(folder, 'gcc', '-std=c11', ROOT / 'examples/hello.c', *flags, '-o', 'hello')
            needed = self.embed(folder, 'readelf', '-d', 'hello')
            self.assertIn('[libdiatom.so.0]', needed)
            result = subprocess.run(['./hello', 'Not An Image'], cwd=folder, timeout=DEADLINE, stderr=subprocess.PIPE,
                                    env={'HOME': folder, 'PATH': PATH, 'LD_LIBRARY_PATH': str(library),
                                         'DIATOM_HOME': f'{folder}/store', 'DIATOM_RUN': f'{folder}/run'})
            self.assertEqual(result.returncode, 1)
            self.assertIn(b'Not An Image', result.stderr)

    def test_an_ordinary_user_loads_lists_and_removes_an_image(self):
        need(self, 'root', os.geteuid() == 0, 'needs root, to become another user')
        home = self.scratch / 'home'
        home.mkdir()
        os.chown(home, int(NOBODY), int(NOBODY))
        for words, wanted in ((['image', 'load', '-i', self.archive], 'Loaded image: small:1\n'),
                              (['image', 'ls', '-q'], '\n'), (['images'], 'small        1 '), (['doctor'], 'containers run here')):
            result = self.run_installed(str(home), *words, as_nobody=True)
            self.assertEqual(result.returncode, 0, (words, result.stderr))
            self.assertIn(wanted, result.stdout.decode())
        store = home / '.local/share/diatom'
        [info] = json.loads(self.run_installed(str(home), 'image', 'inspect', 'small:1', as_nobody=True).stdout)
        for extent in info['RootDevice']:
            self.assertTrue(extent['Path'].startswith(str(store)))
        # Owners and devices of the image are inside of it: everything outside is the user's, and nobody else can look.
        for path in [store, *store.rglob('*')]:
            self.assertEqual(path.stat().st_uid, int(NOBODY), path)
        self.assertEqual(stat.S_IMODE(store.stat().st_mode), 0o700)
        result = self.run_installed(str(home), 'image', 'rm', 'small:1', as_nobody=True)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual([path for path in store.rglob('*.erofs')], [])

    def test_a_user_without_a_home_of_his_own_gets_a_clear_error(self):
        need(self, 'root', os.geteuid() == 0, 'needs root, to become another user')
        result = self.run_installed('/root', 'image', 'ls', as_nobody=True)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(b'/root', result.stderr)
        self.assertIn(b'ermission denied', result.stderr)


if __name__ == '__main__':
    main()
