#!/usr/bin/env python3
"""The store as a power cut at each sync would leave it: readable, true, and with everything in it that was reported."""
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from crash import CrashTest  # noqa: E402
from diatom import BINARY, main  # noqa: E402

SHIM = pathlib.Path(os.environ.get('DIATOM_POWER_CUT', BINARY.parents[1] / 'lib/libpower_cut.so'))
OVER = ('created', 'exited', 'failed')


class PowerCut(CrashTest):
    def setUp(self):
        self.cuts = self.home.path / 'cuts'
        self.cuts.mkdir()
        self.addCleanup(shutil.rmtree, self.cuts, True)
        self.addCleanup(self.home.run, 'rm', '-f', 'lasting', 'short', 'passing')
        self.traced = {'LD_PRELOAD': str(SHIM), 'POWER_CUT': str(self.cuts)}

    def taken(self) -> int:
        return len(list(self.cuts.glob('*.done')))

    def after_cut(self, number: int) -> dict:
        """What diatom says of the store of that moment, in another place: the sockets' folder is gone, too."""
        return {'DIATOM_HOME': str(self.cuts / str(number)), 'DIATOM_RUN': str(self.home.path / 'run-after')}

    def look(self, number: int) -> dict[str, tuple[str, int]]:
        env = self.after_cut(number)
        rows = self.diatom('ps', '-a', '--format', '{{.Names}} {{.State}} {{.ExitCode}}', env=env).stdout.decode()
        found = {name: (state, int(code)) for name, state, code in map(str.split, rows.splitlines())}
        for name, (state, _) in found.items():
            self.assertIn(state, OVER, f'cut {number}')
            self.diatom('inspect', name, env=env)
        return found

    def test_at_each_sync(self):
        self.assertTrue(SHIM.exists(), f'{SHIM}: built by the target power_cut')
        # What must be there from that cut on, and until the other: the last one before the report holds it.
        reported = []

        def did(name, outcome, *words, code=0):
            self.diatom(*words, env=self.traced, code=code)
            reported.append([self.taken() - 1, name, outcome])
        did('lasting', ('exited', 137), 'run', '-d', '--name', 'lasting', 'busybox', 'sleep', '1000')
        did('short', ('exited', 5), 'run', '--name', 'short', 'busybox', 'sh', '-c', 'exit 5', code=5)
        self.diatom('run', '--rm', '--name', 'passing', 'busybox', 'true', env=self.traced)
        until = self.taken()
        self.diatom('rm', 'short', env=self.traced)
        did('lasting', ('exited', 137), 'stop', '-t', '0', 'lasting')
        total = self.taken()
        self.assertGreater(total, 6)
        for number in range(total):
            found = self.look(number)
            self.assertNotIn('passing', found, f'cut {number} of {total}: it goes with its end, whatever that was')
            for since, name, outcome in reported:
                if number >= since and (name != 'short' or number < until):
                    self.assertEqual(found.get(name), outcome, f'{name} in cut {number} of {total}')
        for number in sorted({total // 2, total - 1}):
            env = self.after_cut(number)
            for name in self.look(number):
                self.diatom('start', name, env=env)
                self.diatom('rm', '-f', name, env=env)


if __name__ == '__main__':
    main()
