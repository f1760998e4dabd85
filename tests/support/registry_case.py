"""What the tests against a registry share: one registry and one fault proxy for a class, a fresh home for each test."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from diatom import DEADLINE, Home
from fault_proxy import Fault, FaultProxy
from http_server import wait_readable
from registry import Registry
from registry_images import Image, Layout


class UserHome(Home):
    """A DIATOM_HOME of a user of its own: nothing of this machine's credentials, mirrors and proxies gets in."""

    def __init__(self, directory: str | None = None):
        super().__init__(image=False, directory=directory)
        own = ('HOME', 'DOCKER_CONFIG', 'REGISTRY_AUTH_FILE', 'DIATOM_REGISTRIES')
        self.env = {k: v for k, v in self.env.items()
                    if k not in own and not k.startswith('XDG_') and not k.lower().endswith('_proxy')}
        (self.path / 'user').mkdir()
        (self.path / 'none.json').write_text('{}')
        self.env |= {'HOME': str(self.path / 'user'), 'DIATOM_REGISTRIES': str(self.path / 'none.json')}

    def files(self) -> set[str]:
        """Without the store's lock, too: one empty file, made when the store is first written to, and kept."""
        return super().files() - {'store.lock'}

    def docker_config(self) -> dict:
        path = self.path / 'user/.docker/config.json'
        return json.loads(path.read_text()) if path.exists() else {}

    def mirrors(self, registry: str, *urls: str):
        """From now on, `registry` is asked through these first."""
        path = self.path / 'registries.json'
        path.write_text(json.dumps({'registries': {registry: {'mirrors': list(urls)}}}))
        self.env['DIATOM_REGISTRIES'] = str(path)


class RegistryTest(unittest.TestCase):
    """`self.registry`, with a FaultProxy before it (`self.proxy`); `self.layout` for images; `self.home`, new in each
    test."""
    registry: Registry
    proxy: FaultProxy
    layout: Layout
    home: UserHome

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix='diatom-registry-test-'))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.layout = Layout(cls.folder / 'layout')
        cls.registry = cls.make_registry()
        cls.addClassCleanup(cls.registry.close)
        if not cls.registry.tls:
            cls.proxy = FaultProxy(cls.registry.host)
            cls.addClassCleanup(cls.proxy.close)
        cls.push_images()

    @classmethod
    def make_registry(cls) -> Registry:
        return Registry()

    @classmethod
    def push_images(cls):
        pass

    @classmethod
    def push(cls, tag: str, name: str | None = None, *options):
        cls.registry.push(cls.layout.folder, tag, name or tag, *options)

    def setUp(self):
        self.home = UserHome()
        self.addCleanup(self.home.close)
        if hasattr(self, 'proxy'):
            self.proxy.heal()

    def diatom(self, *words, code: int = 0, home: Home | None = None, **more) -> subprocess.CompletedProcess:
        result = (home or self.home).run(*words, **more)
        self.assertEqual(result.returncode, code,
                         f'diatom {" ".join(map(str, words))}\nstdout: {result.stdout[-2000:]!r}\nstderr: {result.stderr[-2000:]!r}')
        return result

    def assert_reached(self, fault: Fault, process: subprocess.Popen):
        """Waits until the process hangs where the fault stalls; that it ends instead is a failure at once."""
        process_fd = os.pidfd_open(process.pid)
        try:
            wait_readable(fault.reached.fd, process_fd)
            if not wait_readable(fault.reached.fd, timeout=0):
                self.fail(f'it did not get to where it was to stall: {process.poll()}, {process.stderr.read()!r}'
                          if process.poll() is not None else 'it did not get to where it was to stall')
        finally:
            os.close(process_fd)

    def refused(self, *words, naming: tuple[str, ...] = (), **more) -> str:
        """Fails as it should: exit code 1, each of `naming` in what it says on stderr."""
        said = self.diatom(*words, code=1, **more).stderr.decode()
        for text in naming:
            self.assertIn(text, said)
        return said

    def inspect(self, name: str, home: Home | None = None) -> dict:
        [info] = json.loads(self.diatom('image', 'inspect', name, home=home).stdout)
        return info

    def here(self, home: Home | None = None) -> list[str]:
        """The ids of the images of the home."""
        return self.diatom('images', '-q', '--no-trunc', home=home).stdout.decode().split()

    def assert_nothing_here(self, home: Home | None = None):
        self.assertEqual(self.here(home), [])

    def assert_is(self, name: str, image: Image, home: Home | None = None) -> dict:
        """`name` is this image, whole: its config's digest, its layers, and a root that fsck.erofs accepts."""
        info = self.inspect(name, home)
        self.assertEqual(info['Id'], image.id)
        self.assertEqual(info['RootFS']['Layers'], image.diff_ids)
        self.check_root(info)
        return info

    def check_root(self, info: dict, extract: pathlib.Path | None = None):
        device = self.home.path / 'root.erofs'
        with open(device, 'wb') as out:
            for extent in info['RootDevice']:
                self.assertEqual(os.path.getsize(extent['Path']), extent['Bytes'])
                with open(extent['Path'], 'rb') as part:
                    shutil.copyfileobj(part, out)
        options = [f'--extract={extract}'] if extract else []
        result = subprocess.run(['fsck.erofs', *options, device], capture_output=True, timeout=DEADLINE)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        device.unlink()

    def content(self, name: str, path: str, home: Home | None = None) -> bytes:
        """A file of the image's root file system, as erofs-utils read it."""
        with tempfile.TemporaryDirectory() as folder:
            tree = pathlib.Path(folder) / 'tree'
            self.check_root(self.inspect(name, home), tree)
            return (tree / path).read_bytes()
