"""Processes of containers, and how to kill them: for the tests of what is left after a crash."""
import os
import pathlib
import select
import signal
import time

from diatom import DEADLINE, Home, HomeTest


class Victim:
    """A process by its pidfd, which never comes to name another."""

    def __init__(self, pid: int):
        self.pid = pid
        self.fd = os.pidfd_open(pid)

    def kill(self, number: int = signal.SIGKILL):
        try:
            signal.pidfd_send_signal(self.fd, number)
        except ProcessLookupError:
            pass

    def ended(self, deadline: float = DEADLINE) -> bool:
        return bool(select.select([self.fd], [], [], deadline)[0])

    def close(self):
        os.close(self.fd)


def monitor_of(home: Home, container: str) -> Victim | None:
    """Whose name is in the container's lock; none when that one has gone."""
    try:
        pid = int((home.path / 'home/containers' / container / 'lock').read_text() or 0)
        return Victim(pid) if pid > 0 and b'diatom-monitor' in pathlib.Path(f'/proc/{pid}/cmdline').read_bytes() else None
    except (OSError, ValueError):
        return None


def vms_of(container: str) -> list[int]:
    """Every process that is a VM of the container's: of QEMU by its name, of libkrun by its configuration."""
    found = []
    for entry in os.listdir('/proc'):
        try:
            words = pathlib.Path('/proc', entry, 'cmdline').read_bytes().split(b'\0') if entry.isdigit() else [b'']
        except OSError:
            continue
        qemu = f'diatom-{container[:12]}'.encode() in words and b'-blockdev' in words
        krun = words[0].endswith(b'/diatom-krun') and any(f'/{container}/'.encode() in word for word in words[1:])
        if qemu or krun:
            found.append(int(entry))
    return found


def vm_of(container: str) -> Victim | None:
    for pid in vms_of(container):
        try:
            return Victim(pid)
        except OSError:
            pass
    return None


def until(condition, what: str, deadline: float = DEADLINE):
    """For what is no event to anybody: a record that another process writes."""
    end = time.monotonic() + deadline
    while not (got := condition()):
        assert time.monotonic() < end, f'not in time: {what}'
        select.select([], [], [], 0.02)
    return got


class CrashTest(HomeTest):
    def create(self, name: str, script: str, *options) -> str:
        result = self.diatom('create', '--name', name, *options, 'busybox', 'sh', '-c', script)
        self.addCleanup(self.home.run, 'rm', '-f', name)
        return result.stdout.decode().strip()

    def run_detached(self, name: str, script: str, *options) -> str:
        container = self.create(name, script, *options)
        self.diatom('start', name)
        return container

    def state(self, name: str) -> dict:
        return self.home.json('inspect', name)[0]['State']

    def status(self, name: str) -> str:
        return self.state(name)['Status']

    def await_status(self, name: str, wanted: str):
        until(lambda: self.status(name) == wanted, f'{name} is {wanted}')

    def await_log(self, name: str, line: str):
        until(lambda: line.encode() in self.diatom('logs', name).stdout, f'{name} prints {line}')

    def kill(self, victim: Victim | None):
        assert victim is not None
        victim.kill()
        self.assertTrue(victim.ended())
        victim.close()

    def kill_monitor(self, container: str):
        vm = vm_of(container)
        self.kill(monitor_of(self.home, container))
        if vm:
            self.assertTrue(vm.ended(5), 'a VM outlives its monitor')
            vm.close()
        self.assertEqual(vms_of(container), [])

    def assert_dead(self, name: str, code: int = 137, status: str = 'exited', error: str = 'monitor was killed'):
        state = self.state(name)
        self.assertEqual((state['Status'], state['ExitCode'], state['Running']), (status, code, False))
        self.assertIn(error, state['Error'])
        self.assertEqual(self.diatom('wait', name).stdout.decode(), f'{code}\n')
        self.assertNotIn(name, self.diatom('ps', '--format', '{{.Names}}').stdout.decode().split())
        self.assertIn(name, self.diatom('ps', '-a', '--format', '{{.Names}}').stdout.decode().split())

    def assert_goes(self, name: str, container: str):
        self.diatom('rm', name)
        self.assert_gone(container)

    def assert_gone(self, container: str):
        self.assertEqual(vms_of(container), [])
        self.assertNotIn(container[:12], self.diatom('ps', '-aq').stdout.decode().split())
        self.assertEqual([f for f in self.home.files() if container in f], [])
        sockets = os.listdir(self.home.path / 'run') if (self.home.path / 'run').exists() else []
        self.assertEqual([s for s in sockets if s.startswith(container[:20])], [])
