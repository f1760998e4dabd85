#!/usr/bin/env python3
"""Containers by random verbs, and a kill -9 of anybody at a random moment, round after round: what holds always, holds.
DIATOM_SOAK = rounds; DIATOM_SOAK_SEED repeats one; DIATOM_SOAK_SECONDS ends it sooner."""
import os
import pathlib
import random
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from crash import CrashTest, Victim, monitor_of, until, vm_of, vms_of  # noqa: E402
from diatom import DEADLINE, main  # noqa: E402

ROUNDS = int(os.environ.get('DIATOM_SOAK', '8'))
SEED = int(os.environ.get('DIATOM_SOAK_SEED', '0')) or random.SystemRandom().randrange(1, 1 << 32)
SECONDS = float(os.environ.get('DIATOM_SOAK_SECONDS', '400'))
NAMES = ('red', 'green', 'blue')
OVER = ('created', 'exited', 'failed')
VERBS = (['start'], ['start'], ['start'], ['stop', '-t', '0'], ['stop', '-t', '1'], ['kill'], ['pause'], ['unpause'],
         ['restart', '-t', '0'], ['rm'], ['rm', '-f'], ['exec', '-', 'true'], ['wait'], ['create'])


class Soak(CrashTest):
    def words(self, verb: list[str], name: str) -> list[str]:
        if verb == ['create']:
            policy = self.random.choice([[], ['--rm'], ['--restart', 'on-failure:2']])
            return ['create', '--name', name, *policy, 'busybox', 'sh', '-c', self.random.choice(['exit 3', 'sleep 1000'])]
        return [name if word == '-' else word for word in verb] + ([] if '-' in verb else [name])

    def ids(self) -> dict[str, str]:
        rows = self.diatom('ps', '-a', '--no-trunc', '--format', '{{.Names}} {{.ID}}').stdout.decode().splitlines()
        return dict(row.split() for row in rows)

    def kill_somebody(self, clients: list[subprocess.Popen]):
        ids = list(self.ids().values())
        container = self.random.choice(ids) if ids else ''
        kinds = {'client': lambda: [Victim(self.random.choice(clients).pid)] if clients else [],
                 'monitor': lambda: [monitor_of(self.home, container)],
                 'vm': lambda: [vm_of(container)],
                 'all': lambda: [vm_of(container), monitor_of(self.home, container), *(Victim(c.pid) for c in clients)]}
        for victim in filter(None, kinds[self.random.choice(list(kinds))]() if container else []):
            victim.kill()
            victim.close()

    def one_round(self):
        for name in NAMES:
            if name not in self.ids():
                self.diatom(*self.words(['create'], name))
        clients = [self.home.popen(*self.words(self.random.choice(VERBS), self.random.choice(NAMES)), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                   for _ in range(self.random.randint(1, 4))]
        # Now and then long enough for a guest to come up.
        pause = Victim(os.getpid())
        pause.ended(self.random.choice([0, 0.01, 0.05, 0.2, 0.2, 0.5, 6]))
        pause.close()
        self.kill_somebody(clients)
        for client in clients:
            client.kill() if self.random.random() < 0.7 else None
        for client in clients:
            try:
                client.wait(20)  # a `wait` for one that runs on
            except subprocess.TimeoutExpired:
                client.kill()
                client.wait(DEADLINE)
        self.check()

    def check(self):
        ids = self.ids()
        for name, container in ids.items():
            state = self.home.run('inspect', name)
            if state.returncode != 0:
                continue  # it was to go with its end, which was now
            # Who owns it lives, and no VM is there without an owner.
            def true():
                got = self.home.run('inspect', '--format', '{{.State.Status}}', name).stdout.decode().strip()
                alive = monitor_of(self.home, container) is not None
                return (got in OVER or got == '') if not alive else got != ''
            until(true, f'{name} is what it says', 30)
            if monitor_of(self.home, container) is None:
                until(lambda: not vms_of(container) or monitor_of(self.home, container), f'no VM of {name} is left', 10)
        folders = lambda: set(os.listdir(self.home.path / 'home/containers')) - set(self.ids().values())  # noqa: E731
        until(lambda: not folders(), 'no folder without a record', 30)

    def test_what_holds_always_holds_through_crashes(self):
        print(f'\nDIATOM_SOAK_SEED={SEED}', flush=True)
        self.random = random.Random(SEED)
        end = time.monotonic() + SECONDS
        rounds = 0
        try:
            while rounds < ROUNDS and time.monotonic() < end:
                self.one_round()
                rounds += 1
        finally:
            print(f'{rounds} rounds', flush=True)
            gone = self.ids()
            for name in gone:
                self.home.run('rm', '-f', name)
        for container in gone.values():
            self.assert_gone(container)
        self.assertEqual([s for s in os.listdir(self.home.path / 'run') if s.endswith('.sock')], [])


if __name__ == '__main__':
    main()
