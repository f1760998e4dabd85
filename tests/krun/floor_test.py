#!/usr/bin/env python3
"""The real libkrun in the Debian guest of tools/krun_guest/: without it, nothing else that runs there says anything."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from diatom import DEADLINE, ROOT, main, need  # noqa: E402

FLOOR = ROOT / 'build/bin/krun_floor'  # bench/krun_floor.c


class Floor(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = pathlib.Path(tempfile.mkdtemp(prefix='krun-floor-'))
        cls.addClassCleanup(shutil.rmtree, cls.scratch)
        for name in ('bin', 'dev', 'proc', 'sys', 'tmp'):
            (cls.scratch / name).mkdir()
        shutil.copy('/bin/busybox', cls.scratch / 'bin/sh')

    def setUp(self):
        need(self, 'krun', 'DIATOM_LIBKRUN' in os.environ, 'DIATOM_LIBKRUN names no libkrun')

    def start(self, script: str) -> subprocess.Popen:
        return subprocess.Popen([FLOOR, '1', '256', self.scratch, '/bin/sh', '-c', script], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def end(self, vm: subprocess.Popen, code: int) -> bytes:
        out, err = vm.communicate(timeout=DEADLINE)
        self.assertEqual(vm.returncode, code, (out, err))
        return out

    def test_a_program_runs_in_a_vm_of_libkrun_and_its_status_comes_back(self):
        self.assertEqual(self.end(self.start('echo hello; exit 7'), 7).split(), [b'hello'])

    def test_two_at_the_same_time(self):
        first, second = self.start('exit 1'), self.start('exit 2')
        self.end(first, 1)
        self.end(second, 2)


if __name__ == '__main__':
    main()
