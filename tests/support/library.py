"""libdiatom and its ctypes example, for tests."""
import ctypes
import importlib.util
import os
import unittest

from diatom import BINARY, Home, ROOT

LIBRARY = BINARY.parents[1] / 'lib/libdiatom.so.0'


def binding():
    """examples/diatom_ctypes.py over the library of this build."""
    os.environ['DIATOM_LIBRARY'] = str(LIBRARY)
    spec = importlib.util.spec_from_file_location('diatom_ctypes', ROOT / 'examples/diatom_ctypes.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class LibraryTest(unittest.TestCase):
    """A store with busybox, and a runtime of it in this very process."""

    @classmethod
    def setUpClass(cls):
        cls.home = Home()
        cls.addClassCleanup(cls.home.close)
        cls.diatom = binding()

    def setUp(self):
        self.runtime = self.open()

    def open(self):
        runtime = self.diatom.Runtime(home=self.home.env['DIATOM_HOME'], run=self.home.env['DIATOM_RUN'])
        self.addCleanup(runtime.close)
        return runtime

    def await_log(self, name: str, wanted: bytes, **options) -> bytes:
        """What the container has printed, until it is there; by the callback, which ends the following."""
        seen = []

        def take(_user, _stream, data, size):
            seen.append(ctypes.string_at(data, size))
            return int(wanted in b''.join(seen))
        self.runtime.call('container_read_logs', name, {'follow': True} | options, self.diatom.LOG(take), None)
        return b''.join(seen)
