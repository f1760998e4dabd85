#!/usr/bin/env python3
"""Warm start (engine qemu): VMs that are restored from a template: the same as those that boot, and no two the same."""
import os
import pathlib
import platform
import re
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from diatom import DEADLINE, HomeTest, main  # noqa: E402

CLONES = 5
CLOCK_ERROR = 0.05


class WarmTest(HomeTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.home.env['DIATOM_ENGINE'] = 'qemu'

    def start_of(self, *words, **more) -> str:
        """Runs a container to its end: "warm" or "cold"."""
        self.diatom('run', '--name', 'one', *words, 'busybox', 'true', **more)
        (info,) = self.home.json('inspect', 'one')
        self.diatom('rm', 'one')
        return info['Engine']['Start']

    def templates(self) -> list[pathlib.Path]:
        folder = self.home.path / 'home/templates'
        return sorted(path for path in folder.glob('vm-*') if path.is_dir())


class Start(WarmTest):
    def test_the_first_makes_a_template_and_all_are_restored_from_it(self):
        self.assertEqual(self.start_of(), 'warm')
        (template,) = self.templates()
        made = (template / 'template.json').stat().st_ino
        self.assertEqual(self.start_of(), 'warm')
        self.assertEqual((template / 'template.json').stat().st_ino, made)

    def test_another_size_is_another_template(self):
        self.start_of()
        before = self.templates()
        self.assertEqual(self.start_of('-m', '256m'), 'warm')
        self.assertEqual(len(self.templates()), len(before) + 1)

    def test_no_template_boots(self):
        before = self.templates()
        self.assertEqual(self.start_of('--no-template', '-m', '300m'), 'cold')
        self.assertEqual(self.templates(), before)

    def test_what_the_program_sees_is_what_it_sees_after_a_boot(self):
        script = ('cat /proc/mounts /proc/cpuinfo /etc/hosts; ls -la / /dev; id; ip addr show eth0; ip route; df / | '
                  'tail -n 1 | cut -c1-40; cat /proc/sys/kernel/hostname; echo x > /new && cat /new')
        options = ['--name', 'same', '-h', 'same']
        outputs = []
        for more in ([], ['--no-template']):
            out = self.diatom('run', *options, *more, 'busybox', 'sh', '-c', script).stdout.decode()
            (info,) = self.home.json('inspect', 'same')
            self.diatom('rm', 'same')
            self.assertIn(info['NetworkSettings']['MacAddress'] or 'link/ether 02:', out)
            # The MAC address is the container's, and so are the times of its files; a rate is measured.
            out = re.sub(r'link/ether \S+|\w{3} +\d+ +\d+:\d+|(cpu MHz|bogomips).*', '', out)
            outputs.append(out.splitlines())
        self.assertEqual(outputs[0], outputs[1])

    def test_a_read_only_container_without_a_network(self):
        self.assertEqual(self.start_of('--read-only', '--network', 'none'), 'warm')

    def test_the_guest_sees_the_disks_of_its_container_and_nothing_of_the_templates(self):
        data = os.urandom(1 << 20)
        self.diatom('run', '-i', '--name', 'kept', 'busybox', 'sh', '-c', 'cat > /data', stdin=data)
        self.assertEqual(self.diatom('start', '-a', 'kept').returncode, 0)
        copied = self.home.path / 'copied'
        # The program has run a second time, with nothing to read.
        self.diatom('cp', 'kept:/data', copied)
        self.assertEqual(copied.read_bytes(), b'')
        self.diatom('rm', 'kept')


class Identity(WarmTest):
    def test_no_two_clones_draw_the_same(self):
        script = ('head -c 16 /dev/urandom | hexdump -e \'16/1 "%02x" "\\n"\'; cat /proc/sys/kernel/random/boot_id; '
                  'cat /proc/sys/kernel/random/uuid; hostname; cat /sys/class/net/eth0/address; mktemp -u; '
                  'grep -m1 stack /proc/self/maps')
        seen: list[list[str]] = []
        for _ in range(CLONES):
            seen.append(self.guest(script).splitlines())
        for line in zip(*seen):
            self.assertEqual(len(set(line)), CLONES, line)

    def test_the_clock_is_right_to_fifty_milliseconds(self):
        # The guest tells its time when it is asked; the host knows when it asked and when it was told.
        process = self.home.popen('run', '--rm', '-i', 'busybox', 'sh', '-c',
                                  'while read line; do touch /x; stat -c %y /x; done', stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)
        best = None
        for _ in range(10):
            before = time.time()
            process.stdin.write(b'\n')
            process.stdin.flush()
            stamp = process.stdout.readline().decode().strip()
            after = time.time()
            text = subprocess.run(['date', '-u', '-d', stamp if '+' in stamp else stamp + ' UTC', '+%s.%N'], check=True,
                                  stdout=subprocess.PIPE).stdout
            error = max(before - float(text), float(text) - after, 0)
            best = error if best is None else min(best, error)
        process.stdin.close()
        self.assertEqual(process.wait(DEADLINE), 0)
        self.assertLess(best, CLOCK_ERROR)


class Damage(WarmTest):
    def damaged(self, damage):
        self.start_of()
        (template,) = self.templates()
        before = (template / 'template.json').stat().st_ino
        damage(template)
        self.assertEqual(self.start_of(), 'warm')
        self.assertEqual(self.templates(), [template])
        self.assertNotEqual((template / 'template.json').stat().st_ino, before)

    def test_memory_that_was_written_to_is_not_run(self):
        def damage(template):
            with open(template / 'memory', 'r+b') as file:
                file.seek(16 << 20)
                file.write(b'damage' * 1000)
        self.damaged(damage)

    def test_memory_that_was_cut_short_is_not_run(self):
        self.damaged(lambda template: os.truncate(template / 'memory', 1 << 20))

    def test_another_state_is_not_restored(self):
        def damage(template):
            state = bytearray((template / 'state').read_bytes())
            state[len(state) // 2] ^= 1
            (template / 'state').write_bytes(state)
        self.damaged(damage)

    def test_a_part_that_is_missing_is_made_again(self):
        for part in ('memory', 'state', 'template.json'):
            with self.subTest(part=part):
                self.damaged(lambda template, part=part: (template / part).unlink())

    def test_a_record_of_nonsense_is_none(self):
        self.damaged(lambda template: (template / 'template.json').write_text('{"format": []'))


class Building(WarmTest):
    def test_two_starters_share_one(self):
        processes = [self.home.popen('run', '--name', f'c{i}', 'busybox', 'echo', str(i), stdout=subprocess.PIPE)
                     for i in range(3)]
        outputs = [process.communicate(timeout=DEADLINE)[0] for process in processes]
        self.assertEqual(outputs, [b'0\n', b'1\n', b'2\n'])
        starts = [info['Engine']['Start'] for info in self.home.json('inspect', 'c0', 'c1', 'c2')]
        self.diatom('rm', 'c0', 'c1', 'c2')
        self.assertEqual(starts, ['warm'] * 3)
        self.assertEqual(len(self.templates()), 1)

    def fake_qemu(self, words: str) -> dict:
        """An environment whose QEMU does something else where it is to make a template."""
        fake = self.home.path / 'qemu'
        fake.write_text(f'#!/bin/sh\ncase "$*" in *\'"share":true\'*) {words};; esac\nexec qemu-system-{platform.machine()} "$@"\n')
        fake.chmod(0o755)
        return {'DIATOM_QEMU': str(fake)}

    def test_where_none_can_be_made_containers_boot_and_it_is_not_tried_again(self):
        env = self.fake_qemu('echo no such backend >&2; echo x >> "${0%/*}/tried"; exit 1')
        for _ in range(2):
            self.assertEqual(self.start_of(env=env), 'cold')
        self.assertEqual((self.home.path / 'tried').read_text(), 'x\n')
        (failed,) = (self.home.path / 'home/templates').glob('vm-*.failed')
        self.assertIn('no such backend', failed.read_text())
        failed.unlink()

    def test_one_whose_maker_was_killed_is_made_by_the_next(self):
        fifo = self.home.path / 'fifo'
        os.mkfifo(fifo)
        env = self.fake_qemu(f'if [ -p {fifo} ]; then echo here > {fifo}; exec sleep 1000; fi')
        process = self.home.popen('run', '--name', 'killed', 'busybox', 'true', env=env, stderr=subprocess.DEVNULL)
        self.assertEqual(fifo.read_text(), 'here\n')
        fifo.unlink()
        self.diatom('rm', '-f', 'killed')
        self.assertNotEqual(process.wait(DEADLINE), 0)
        self.assertEqual(self.start_of(env=env), 'warm')
        self.assertEqual(list((self.home.path / 'home/templates').glob('vm-*.new')), [])

    def test_a_container_is_stopped_while_its_template_is_made(self):
        fifo = self.home.path / 'stopped'
        os.mkfifo(fifo)
        env = self.fake_qemu(f'echo here > {fifo}; exec sleep 1000')
        self.home.popen('run', '--name', 'stopped', '-m', '200m', 'busybox', 'true', env=env, stderr=subprocess.DEVNULL)
        self.assertEqual(fifo.read_text(), 'here\n')
        self.diatom('stop', 'stopped')
        (info,) = self.home.json('inspect', 'stopped')
        self.assertIn(info['State']['Status'], ('exited', 'failed'))
        self.diatom('rm', 'stopped')

    def test_system_prune_removes_them(self):
        self.start_of()
        self.diatom('system', 'prune', '-f')
        self.assertEqual(list((self.home.path / 'home/templates').glob('vm-*')), [])


if __name__ == '__main__':
    main()
