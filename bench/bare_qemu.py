"""The peer of every start: bare QEMU, which boots the same kernel with the same machine options and an initramfs that
powers off at once."""
import os
import pathlib
import platform
import subprocess

from beside_podman import ROOT, Home


class BareQemu:
    name = 'bare QEMU'

    def __init__(self, home: Home, scratch: pathlib.Path):
        init = scratch / 'init'
        subprocess.run(['g++', '-static', '-Os', '-o', init, ROOT / 'bench/poweroff.cc'], check=True)
        subprocess.run([ROOT / 'tools/make_initramfs.py', scratch / 'bare.cpio', init], check=True)
        self.words = [f'qemu-system-{platform.machine()}', '-nodefaults', '-no-user-config', '-no-reboot',
                      '-display', 'none', '-initrd', str(scratch / 'bare.cpio'),
                      *options_of_ours(home, '-machine', '-accel', '-cpu', '-smp', '-m', '-kernel', '-append')]

    def command(self) -> list[str]:
        return self.words

    def env(self) -> dict:
        return dict(os.environ)


def options_of_ours(home: Home, *names: str) -> list[str]:
    """What QEMU was given for a container of ours that boots, so that the bare VM is the same."""
    home.run('run', '-d', '--no-template', '--name', 'ours', 'busybox', 'sleep', '1000')
    pid = home.json('inspect', 'ours')[0]['State']['Pid']
    words = pathlib.Path(f'/proc/{pid}/cmdline').read_text().split('\0')
    home.run('rm', '-f', 'ours')
    return [word for name in names for word in (name, words[words.index(name) + 1])]
