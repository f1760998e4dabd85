#!/usr/bin/env python3
"""The guest kernel of libkrunfw, where it is installed: another kernel, without modules and without an initramfs."""
import os
import pathlib
import platform
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from diatom import ROOT, HomeTest, main, need  # noqa: E402

CACHED = ROOT / '.cache/krun/libkrunfw.so.5'  # tools/fetch_krun.sh


class Krunfw(HomeTest):
    def setUp(self):
        library = os.environ.get('DIATOM_LIBKRUNFW', str(CACHED))
        need(self, 'krunfw', platform.machine() == 'x86_64' and pathlib.Path(library).exists(), f'no libkrunfw at {library}')
        self.env = {'DIATOM_KERNEL': 'libkrunfw', 'DIATOM_LIBKRUNFW': library}
        super().setUp()

    def test_a_container_runs_on_it_like_on_any_other(self):
        out = self.diatom('run', '--rm', 'busybox', 'sh', '-c', 'uname -r; id -u; echo x > /new && cat /new; hostname | wc -c',
                          env=self.env).stdout.decode().split()
        self.assertNotIn('cloud', out[0])
        self.assertEqual(out[1:], ['0', 'x', '13'])

    def test_streams_and_exit_codes_come_through(self):
        data = os.urandom(1 << 20)
        result = self.diatom('run', '--rm', '-i', 'busybox', 'sh', '-c', 'cat; exit 7', stdin=data, env=self.env, code=7)
        self.assertEqual(result.stdout, data)

    def test_the_record_names_the_kernel(self):
        self.diatom('run', '--name', 'other', 'busybox', 'true', env=self.env)
        (info,) = self.home.json('inspect', 'other')
        self.assertEqual(info['Engine']['Kernel'], 'libkrunfw')
        self.diatom('rm', 'other')


if __name__ == '__main__':
    main()
