#!/usr/bin/env python3
"""The real libkrun, as far as a machine without KVM goes: it is loaded and configured, and that there is no VM is said in
time and in words. (What it does where there is KVM: tests/krun/classes.txt.) And the GPU's lock, which no GPU is needed for."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from diatom import DEADLINE, ROOT, HomeTest, main, need  # noqa: E402

BUILD = pathlib.Path(os.environ.get('DIATOM_BINARY', ROOT / 'build/bin/diatom')).parents[1]
VMM = BUILD / 'libexec/diatom/diatom-krun'
AGENT = BUILD / 'share/diatom/guest/krun'
KRUN = ROOT / '.cache/krun'
FAILED = 70


class RealLibkrun(unittest.TestCase):
    def setUp(self):
        need(self, 'krun', (KRUN / 'libkrun.so.1').exists(), f'no libkrun.so.1 in {KRUN}: tools/fetch_krun.sh {KRUN}')

    def vmm(self, *words, env: dict | None = None, before: tuple = ()):
        """diatom-krun, with the console's pipe where the monitor would put it."""
        command = ['sh', '-c', 'exec 3>&1; exec "$@"', 'sh', *before, VMM, *words]
        return subprocess.run(list(map(str, command)), env=dict(os.environ, **(env or {})), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=DEADLINE)

    def test_it_is_found_and_what_it_lacks_is_told(self):
        found = self.vmm('--probe', env={'DIATOM_LIBKRUN': str(KRUN / 'libkrun.so.1')})
        self.assertEqual(found.returncode, 0, found.stderr)
        lines = found.stdout.decode().splitlines()
        self.assertIn(str(KRUN), lines[0])
        self.assertNotIn('no disks', found.stdout.decode())

    def test_without_virtualisation_it_is_a_typed_error_within_a_second(self):
        flags = pathlib.Path('/proc/cpuinfo').read_text().split()
        need(self, 'no-kvm', not {'svm', 'vmx'} & set(flags), 'this CPU has virtualisation')
        need(self, 'root', os.geteuid() == 0 or not os.path.exists('/dev/kvm'), 'hiding /dev/kvm takes root')
        with tempfile.TemporaryDirectory() as scratch:
            config = pathlib.Path(scratch, 'vmm.json')
            config.write_text(json.dumps({
                'library': str(KRUN / 'libkrun.so.1'), 'kernel_library': str(KRUN / 'libkrunfw.so.5'),
                'root_directory': str(AGENT), 'vcpus': 1, 'memory_bytes': 256 << 20, 'disks': [],
                'files_directory': f'{scratch}/disks',
                'channel_socket': f'{scratch}/vm.sock',
                'network': {'mac': '02:00:00:00:00:02', 'network': '10.0.2.0', 'prefix': 24, 'gateway': '10.0.2.2',
                            'resolver': '10.0.2.3', 'guest_address': '10.0.2.15', 'forwards': []}}))
            began = time.monotonic()
            # A device that is no KVM's: what this machine has may let VMs be made that then do nothing.
            hidden = ('unshare', '-m', 'sh', '-c', 'mount --bind /dev/null /dev/kvm && exec "$@"', 'sh')
            ended = self.vmm(config, before=hidden if os.path.exists('/dev/kvm') else ())
            took = time.monotonic() - began
        if not os.path.exists('/dev/kvm'):  # it aborts; the monitor knows what that means (unit.vm, KrunProcess)
            self.assertEqual(ended.returncode, -6, ended.stderr)
            return
        self.assertEqual(ended.returncode, FAILED, ended.stderr)
        error = json.loads(ended.stderr.decode().splitlines()[-1])
        self.assertEqual(error['error'], 'engine_unavailable')
        self.assertIn('no hardware virtualisation', error['message'])
        self.assertIn('--engine qemu', error['hint'])
        self.assertLess(took, 1)


class Selection(HomeTest):
    def test_what_is_asked_for_and_cannot_be_is_said(self):
        result = self.diatom('run', '--rm', '--engine', 'krun', 'busybox', 'true', code=125,
                             env={'DIATOM_LIBKRUN': '/nowhere/libkrun.so.1'})
        self.assertIn(b'krun: ', result.stderr)
        self.assertEqual(self.home.containers(), [])

    def test_the_variable_stands_for_the_flag(self):
        result = self.diatom('run', '--rm', 'busybox', 'true', code=125, env={'DIATOM_ENGINE': 'none'})
        self.assertIn(b'there is no such engine', result.stderr)
        self.diatom('run', '--rm', '--engine', 'qemu', 'busybox', 'true', env={'DIATOM_ENGINE': 'none'})

    def test_qemu_has_neither_gpu_nor_tsi(self):
        lock = {'DIATOM_GPU_LOCK': str(self.home.path / 'gpu.lock')}
        for flags, word in ((['--gpu'], b'GPU'), (['--network', 'tsi'], b'tsi')):
            result = self.diatom('run', '--rm', '--engine', 'qemu', *flags, 'busybox', 'true', code=125, env=lock)
            self.assertIn(word, result.stderr)
            self.assertIn(b'--engine krun', result.stderr)
        self.assertEqual(self.home.containers(), [])

    def test_tsi_has_no_udp_ports(self):
        result = self.diatom('create', '--network', 'tsi', '-p', '53/udp', 'busybox', code=1)
        self.assertIn(b'TCP ports only', result.stderr)

    def test_doctor_tells_of_both_engines(self):
        report = self.home.json('doctor', '--json')
        names = [check['name'] for check in report['checks']]
        self.assertIn('engine krun', names)
        self.assertIn('engine qemu', names)


if __name__ == '__main__':
    main()
