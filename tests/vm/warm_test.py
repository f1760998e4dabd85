#!/usr/bin/env python3
"""Warm start (engine qemu): VMs that are restored from a template: the same as those that boot, and no two the same."""
import concurrent.futures
import datetime
import io
import json
import math
import os
import pathlib
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from diatom import DEADLINE, ROOT, Home, HomeTest, main, need  # noqa: E402

CLONES = 20
AT_ONCE = 3
CLOCK_ERROR = 0.05


def parse_time(text: str) -> float:
    return datetime.datetime.fromisoformat(text[:len('2026-01-31T12:00:00.123456')] + '+00:00').timestamp()


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

    def all_templates(self) -> list[pathlib.Path]:
        folder = self.home.path / 'home/templates'
        return sorted(path for path in folder.glob('vm-*') if path.is_dir())

    def templates(self) -> list[pathlib.Path]:
        """Those that are for all images."""
        return [path for path in self.all_templates() if not self.is_of_an_image(path)]

    def image_templates(self) -> list[pathlib.Path]:
        return [path for path in self.all_templates() if self.is_of_an_image(path)]

    def is_of_an_image(self, template: pathlib.Path) -> bool:
        return json.loads((template / 'template.json').read_text())['image'] != ''

    def fake_qemu(self, words: str, where: str = '"share":true') -> dict:
        """An environment whose QEMU does something else where that is among its arguments: where it is to make a template."""
        fake = self.home.path / 'qemu'
        fake.write_text(f"#!/bin/sh\ncase \"$*\" in *'{where}'*) {words};; esac\nexec qemu-system-{platform.machine()} \"$@\"\n")
        fake.chmod(0o755)
        return {'DIATOM_QEMU': str(fake)}

    def sh(self, script: str, *options) -> str:
        return self.diatom('run', '--rm', *options, 'busybox', 'sh', '-c', script).stdout.decode()


class Start(WarmTest):
    def test_the_first_makes_a_template_and_all_are_restored_from_it(self):
        self.diatom('template', 'rm', '--all')
        self.assertEqual(self.start_of(), 'warm')
        (template,) = self.templates()
        made = (template / 'template.json').stat().st_mtime_ns
        self.assertEqual(self.start_of(), 'warm')
        self.assertEqual((template / 'template.json').stat().st_mtime_ns, made)

    def test_another_size_is_another_template(self):
        self.start_of()
        before = self.templates()
        self.assertEqual(self.start_of('-m', '256m'), 'warm')
        self.assertEqual(len(self.templates()), len(before) + 1)

    def test_no_template_boots(self):
        before = self.templates()
        self.assertEqual(self.start_of('--no-template', '-m', '300m'), 'cold')
        self.assertEqual(self.templates(), before)

    def test_the_guest_sees_the_sizes_of_its_disks(self):
        script = 'for disk in /sys/block/vd*; do echo $(cat $disk/serial) $(cat $disk/size); done'
        seen = [sorted(self.guest(script, *more).splitlines()) for more in ([], ['--no-template'])]
        self.assertEqual(seen[0], seen[1])
        self.assertIn('upper', seen[0][1])

    def test_files_of_a_container_that_does_not_run_are_there(self):
        self.diatom('template', 'build', '-m', '256m', '--network', 'none')
        self.diatom('create', '--name', 'still', 'busybox')
        self.diatom('cp', ROOT / 'README.md', 'still:/readme')
        self.diatom('cp', 'still:/readme', self.home.path / 'readme')
        self.diatom('rm', 'still')
        self.assertEqual((self.home.path / 'readme').read_bytes(), (ROOT / 'README.md').read_bytes())

    def test_a_terminal(self):
        self.assertEqual(self.start_of('-t'), 'warm')

    def test_a_port_that_is_taken_is_an_error_as_for_one_that_boots(self):
        self.start_of()
        with socket.create_server(('127.0.0.1', 0)) as server:
            port = server.getsockname()[1]
            result = self.home.run('run', '--rm', '-p', f'{port}:80', 'busybox', 'true')
        self.assertEqual(result.returncode, 125)
        self.assertIn(b'taken', result.stderr)
        self.assertEqual(list((self.home.path / 'home/templates').glob('*.failed')), [])

    def test_the_kernel_of_libkrunfw(self):
        library = os.environ.get('DIATOM_LIBKRUNFW', str(ROOT / '.cache/krun/libkrunfw.so.5'))
        need(self, 'krunfw', platform.machine() == 'x86_64' and pathlib.Path(library).exists(), f'no libkrunfw at {library}')
        env = {'DIATOM_KERNEL': 'libkrunfw', 'DIATOM_LIBKRUNFW': library}
        for more in ([], ['--read-only', '--network', 'none']):
            self.assertEqual(self.start_of(*more, env=env), 'warm')

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
            # The MAC address is the container's, and so are the times of its files; a rate is measured, and a link takes
            # its time to come up. /proc has a link for each process of the guest's kernel, and its workers come and go.
            out = re.sub(r'link/ether \S+|<[A-Z,_-]+>|state \w+|\w{3} +\d+ +\d+:\d+|(cpu MHz|bogomips).*', '', out)
            out = re.sub(r'^dr-xr-xr-x +\d+ (.* proc)$', r'dr-xr-xr-x \1', out, flags=re.MULTILINE)
            outputs.append(out.splitlines())
        self.assertEqual(outputs[0], outputs[1])

    def test_inspect_tells_when_each_stage_was_reached(self):
        self.start_of()  # so that there is a template
        for more, stages in (([], ['begin', 'vmm', 'clock', 'agent', 'started', 'exited', 'ended']),
                             (['--no-template'], ['begin', 'vmm', 'agent', 'started', 'exited', 'ended'])):
            before = time.time()
            self.diatom('run', '--name', 'staged', *more, 'busybox', 'true')
            (info,) = self.home.json('inspect', 'staged')
            self.diatom('rm', 'staged')
            reached = info['Engine']['Stages']
            self.assertEqual([stage['Name'] for stage in reached], stages)
            times = [parse_time(stage['Time']) for stage in reached]
            self.assertEqual(times, sorted(times))
            self.assertTrue(before < times[0] and times[-1] < time.time(), times)
            for earlier, later, stage in zip(times, times[1:], reached[1:]):
                self.assertAlmostEqual(later - earlier, stage['Milliseconds'] / 1e3, delta=0.001)
            self.assertAlmostEqual(times[stages.index('started')], parse_time(info['State']['StartedAt']), delta=1)

    def test_inspect_tells_that_a_template_was_made_first(self):
        self.diatom('template', 'rm', '--all')
        self.diatom('run', '--name', 'first', 'busybox', 'true')
        (info,) = self.home.json('inspect', 'first')
        self.diatom('rm', 'first')
        self.assertEqual([stage['Name'] for stage in info['Engine']['Stages']][:3], ['begin', 'template', 'vmm'])

    def test_a_read_only_container_without_a_network(self):
        self.assertEqual(self.start_of('--read-only', '--network', 'none'), 'warm')

    def test_the_guest_sees_the_disks_of_its_container_and_nothing_of_the_templates(self):
        data = os.urandom(1 << 20)
        self.diatom('run', '-i', '--name', 'kept', 'busybox', 'sh', '-c', 'cat > /data', stdin=data)
        self.diatom('start', '-a', '-i', 'kept')
        copied = self.home.path / 'copied'
        # The program has run a second time, with nothing to read.
        self.diatom('cp', 'kept:/data', copied)
        self.assertEqual(copied.read_bytes(), b'')
        self.diatom('rm', 'kept')


class Identity(WarmTest):
    KEYGEN = 'ssh-keygen'

    # What a clone has of its own, a line each: random numbers as programs get them (files, getrandom(2), the shell's, the
    # kernel's about a process's memory), and what is made of them (names, keys).
    OWN = ('head -c 16 /dev/urandom | hexdump -e \'16/1 "%02x" "\\n"\'; head -c 16 /dev/random | md5sum; mktemp -u; '
           'cat /proc/sys/kernel/random/boot_id; cat /proc/sys/kernel/random/uuid; grep -m1 stack /proc/self/maps; '
           'hostname; cat /sys/class/net/eth0/address; mkpasswd -m sha512 same; ')
    # Its own, and as often as it is asked, what the time is.
    CLOCK = 'while read line; do echo $EPOCHREALTIME; done'
    ASKED = 20

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.image = 'busybox'
        cls.own = cls.OWN
        program = shutil.which(cls.KEYGEN)
        if program:
            cls.make_image_with(pathlib.Path(program))
            cls.image = 'keys'
            cls.own += 'ssh-keygen -q -t ed25519 -N "" -C "" -f /key && cat /key.pub; '

    @classmethod
    def make_image_with(cls, program: pathlib.Path):
        """An image called "keys": busybox, and this program of the host's with all that it loads."""
        loaded = re.findall(r'(/\S+) \(0x', subprocess.check_output(['ldd', program], text=True))
        with io.BytesIO() as out:
            with tarfile.open(fileobj=out, mode='w', dereference=True) as tar:
                for path in (program, *loaded):
                    tar.add(path, arcname=str(path).lstrip('/'))
            for words, stdin in ((['create', '--name', 'keys', 'busybox'], b''), (['cp', '-', 'keys:/'], out.getvalue()),
                                 (['commit', 'keys', 'keys'], b''), (['rm', 'keys'], b'')):
                result = cls.home.run(*words, stdin=stdin)
                assert result.returncode == 0, (words, result.stderr)

    def look_at_clone(self, _) -> tuple[list[str], float, float]:
        """What a clone has of its own, a line each; and between what its clock is ahead of the host's, in seconds."""
        lines = self.own.count(';')
        process = self.home.popen('run', '--rm', '-i', self.image, 'sh', '-c', self.own + self.CLOCK,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        own = [process.stdout.readline().decode() for _ in range(lines)]
        least, most = -math.inf, math.inf
        for _ in range(self.ASKED):
            # It reads its clock between the two, however late anybody is: so what each answer says is true.
            before = time.time()
            process.stdin.write(b'\n')
            process.stdin.flush()
            now = float(process.stdout.readline())
            after = time.time()
            least, most = max(least, now - after), min(most, now - before)
        process.stdin.close()
        self.assertEqual(process.wait(DEADLINE), 0)
        return own, least, most

    def test_no_two_of_twenty_clones_draw_the_same_and_each_knows_the_time(self):
        self.assertEqual(self.start_of(), 'warm')  # so that all are clones of one
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            clones = list(pool.map(self.look_at_clone, range(CLONES)))
        self.assertEqual(len(self.templates()), 1)
        for line in zip(*(own for own, _, _ in clones)):
            self.assertEqual(len(set(line)), CLONES, line)
            self.assertNotIn('\n', line)
        shown = ', '.join(f'{least * 1e3:+.1f}…{most * 1e3:+.1f}' for _, least, most in clones)
        print(f'clocks ahead by, ms: {shown}', file=sys.stderr)
        for _, least, most in clones:
            self.assertLess(max(least, -most), CLOCK_ERROR, shown)  # it is wrong by no less than that


class Damage(WarmTest):
    def damaged(self, damage):
        for kind in (self.image_templates, self.templates):
            self.start_of()
            if kind == self.templates:  # which is not looked at where there is the image's
                self.diatom('template', 'rm', *(path.name for path in self.image_templates()))
            (template,) = kind()
            before = (template / 'template.json').stat().st_mtime_ns
            damage(template)
            self.assertEqual(self.start_of(), 'warm')
            self.assertEqual(kind(), [template])
            self.assertNotEqual((template / 'template.json').stat().st_mtime_ns, before)

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


    def test_a_disk_that_was_written_to_is_not_mounted(self):
        self.start_of()
        (template,) = self.image_templates()
        before = (template / 'template.json').stat().st_mtime_ns
        with open(template / 'disk-upper', 'r+b') as file:
            file.seek(1 << 20)
            file.write(b'damage')
        self.assertEqual(self.start_of(), 'warm')
        self.assertNotEqual((template / 'template.json').stat().st_mtime_ns, before)


class OfAnImage(WarmTest):
    """What is restored has the image's root mounted, and a first process that waits."""

    def test_each_image_has_one(self):
        self.start_of()
        (first,) = self.image_templates()
        made = (first / 'template.json').stat().st_mtime_ns
        self.assertEqual(self.start_of(), 'warm')
        self.assertEqual((first / 'template.json').stat().st_mtime_ns, made)
        self.diatom('create', '--name', 'changed', 'busybox')
        self.diatom('cp', __file__, 'changed:/file')
        self.diatom('commit', 'changed', 'changed')
        self.diatom('rm', 'changed')
        self.assertEqual(self.diatom('run', '--rm', 'changed', 'ls', '/file').stdout, b'/file\n')
        self.assertEqual(self.diatom('run', '--rm', 'busybox', 'ls', '/file', code=1).stdout, b'')
        self.assertEqual(len(self.image_templates()), 2)
        self.assertEqual(len(self.templates()), 1)
        images = set(self.diatom('images', '-q').stdout.decode().split())
        shown = self.diatom('template', 'ls', '--format', '{{.Image}}').stdout.decode().split()
        self.assertEqual(set(shown), images | {'any'})

    def test_it_is_made_beforehand(self):
        self.diatom('template', 'rm', '--all')
        name = self.diatom('template', 'build', 'busybox').stdout.decode().strip()
        (template,) = self.image_templates()
        self.assertEqual(template.name, name)
        made = (template / 'template.json').stat().st_mtime_ns
        self.assertEqual(self.start_of(), 'warm')
        self.assertEqual((template / 'template.json').stat().st_mtime_ns, made)
        self.assertIn(b'nosuch', self.diatom('template', 'build', 'nosuch', code=1).stderr)

    def test_a_container_begins_with_an_empty_layer_and_keeps_what_it_writes(self):
        script = 'cat /kept; echo $(hostname) >> /kept; rm -f /etc/group; mkdir -p /made/here'
        self.diatom('run', '--name', 'first', 'busybox', 'sh', '-c', script)
        (info,) = self.home.json('inspect', 'first')
        ident = info['Id'][:12]
        self.assertEqual(self.diatom('start', '-a', 'first').stdout.decode(), f'{ident}\n')
        self.assertEqual(self.diatom('start', '-a', 'first').stdout.decode(), f'{ident}\n' * 2)
        changes = self.diatom('diff', 'first').stdout.decode().split('\n')
        for change in ('A /kept', 'D /etc/group', 'A /made', 'A /made/here'):
            self.assertIn(change, changes)
        self.diatom('rm', 'first')
        self.assertEqual(self.sh('ls /kept /made /etc/group 2> /dev/null; true'), '/etc/group\n')

    def test_what_was_put_into_it_before_its_first_start_is_there(self):
        self.diatom('create', '--name', 'filled', 'busybox', 'cat', '/file')
        self.diatom('cp', '-', 'filled:/', stdin=self.tar_of('file', b'put there'))
        self.assertEqual(self.diatom('start', '-a', 'filled').stdout, b'put there')
        self.diatom('rm', 'filled')

    def tar_of(self, name: str, content: bytes) -> bytes:
        with io.BytesIO() as out:
            with tarfile.open(fileobj=out, mode='w') as tar:
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
            return out.getvalue()

    # What the process that waits has made by then, or has not.
    ASKED = ('cat /proc/mounts /proc/self/limits /etc/hosts /etc/resolv.conf; grep -E "Cap|Seccomp:|NoNew|Groups" '
             '/proc/self/status; id; pwd; env | sort; hostname; cat /proc/sys/net/core/somaxconn; readlink /proc/self/fd/0; '
             'ls -la /proc/self/fd | wc -l; echo $$; cat /sys/fs/cgroup/pids.max; ls /dev; umask')

    def test_whatever_a_container_is_made_with_it_gets(self):
        for options in ([], ['--privileged'], ['--cap-drop', 'ALL', '--cap-add', 'CHOWN'], ['-u', '1:2'], ['--init'],
                        ['--tmpfs', '/tmp:size=1m', '--shm-size', '1m'], ['--sysctl', 'net.core.somaxconn=77'],
                        ['-w', '/made/here', '-e', 'A=1', '--add-host', 'there:192.0.2.1', '--dns', '192.0.2.2'],
                        ['--ulimit', 'nofile=99', '--pids-limit', '50'],
                        ['--read-only'], ['--network', 'none'], ['-i'], ['-t'], ['--group-add', '7', '--cpus', '0.5']):
            with self.subTest(options=options):
                seen = [self.sh(self.ASKED, '-h', 'same', *options, *more) for more in ([], ['--no-template'])]
                self.assertEqual(seen[0].splitlines(), seen[1].splitlines())
                self.assertIn('same', seen[0])

    def test_a_program_that_is_not_there(self):
        for words, code in ((['/nowhere'], 127), (['/etc'], 126), (['-w', '/etc/passwd'], 125)):
            options = words if words[0] == '-w' else []
            command = [] if options else words
            result = self.home.run('run', '--rm', *options, 'busybox', *command)
            self.assertEqual(result.returncode, code, result.stderr)

    def test_nothing_of_a_machine_is_shared(self):
        """No id of the machine comes with a guest that clones could have in common; an image has one, or not."""
        script = 'for file in /etc/machine-id /var/lib/dbus/machine-id /sys/class/dmi/id/product_uuid; do ls $file; done'
        self.assertEqual(self.sh(script + ' 2> /dev/null; true'), '')

    def test_where_it_cannot_be_made_vms_are_restored_all_the_same(self):
        env = self.fake_qemu('echo no second >&2; exit 1', where="""\"share\":true'*'-incoming""")
        for _ in range(2):
            self.assertEqual(self.start_of(env=env), 'warm')
        self.assertIn('no second', self.diatom('template', 'ls', '--format', '{{.Status}}').stdout.decode())
        self.diatom('template', 'rm', '--all')

    def test_whom_the_process_that_waits_does_not_fit_is_without_it(self):
        self.diatom('run', '-d', '--name', 'whole', '--privileged', 'busybox', 'sleep', '1000')
        self.assertEqual(self.diatom('exec', 'whole', 'cat', '/sys/fs/cgroup/pids.current').stdout, b'2\n')
        self.diatom('stop', '-t', '0', 'whole')
        self.diatom('rm', 'whole')


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

    def test_where_none_can_be_made_containers_boot_and_it_is_not_tried_again(self):
        env = self.fake_qemu('echo no such backend >&2; echo x >> "${0%/*}/tried"; exit 1')
        for _ in range(2):
            self.assertEqual(self.start_of(env=env), 'cold')
        self.assertEqual((self.home.path / 'tried').read_text(), 'x\n')
        (failed,) = (self.home.path / 'home/templates').glob('vm-*.failed')
        shown = self.diatom('template', 'ls', '--format', '{{.Status}}').stdout.decode()
        self.assertIn('no such backend', shown)
        self.assertIn('tried again in', shown)
        self.assertIn(b'no such backend', self.diatom('doctor').stdout)
        self.diatom('template', 'rm', failed.stem)

    def test_one_that_qemu_does_not_take_is_not_tried_again_at_once(self):
        self.start_of()
        env = self.fake_qemu('echo "unknown section" >&2; exit 1', where='-incoming')
        for _ in range(2):
            self.assertEqual(self.start_of(env=env), 'cold')
        shown = self.diatom('template', 'ls', '--format', '{{.Status}}').stdout.decode()
        self.assertIn('unknown section', shown)
        self.diatom('template', 'rm', '--all')

    def test_without_room_on_the_disk_containers_boot(self):
        with tempfile.TemporaryDirectory() as folder:
            small = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=96m', 'tmpfs', folder], stderr=subprocess.PIPE)
            need(self, 'mount', small.returncode == 0, 'this user cannot mount')
            try:
                with Home(directory=folder) as home:
                    home.env['DIATOM_ENGINE'] = 'qemu'
                    result = home.run('run', '--name', 'one', 'busybox', 'echo', 'there')
                    self.assertEqual(result.stdout, b'there\n', result.stderr)
                    (info,) = home.json('inspect', 'one')
                    self.assertEqual(info['Engine']['Start'], 'cold')
                    self.assertIn(b'MiB left', home.run('template', 'ls').stdout)
            finally:
                subprocess.run(['umount', folder], check=True)

    def test_one_whose_maker_was_killed_is_made_by_the_next(self):
        self.kill_the_maker(by_signal=True)

    def test_one_whose_maker_was_told_to_stop_is_made_by_the_next(self):
        self.kill_the_maker(by_signal=False)

    def kill_the_maker(self, by_signal: bool):
        fifo = self.home.path / 'fifo'
        os.mkfifo(fifo)
        env = self.fake_qemu(f'if [ -p {fifo} ]; then echo $PPID > {fifo}; exec sleep 1000; fi')
        process = self.home.popen('run', '--name', 'killed', 'busybox', 'true', env=env, stderr=subprocess.DEVNULL)
        monitor = fifo.read_text()
        fifo.unlink()
        if by_signal:
            os.kill(int(monitor), signal.SIGKILL)
        self.assertNotEqual(process.wait(DEADLINE) if by_signal else 1, 0)
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

    def test_one_of_an_older_qemu_is_replaced(self):
        env = self.fake_qemu('')
        self.start_of(env=env)
        (before,) = self.templates()
        self.fake_qemu('')  # of another time
        self.assertEqual(self.start_of(env=env), 'warm')
        (after,) = self.templates()
        self.assertNotEqual(before, after)

    def test_system_prune_removes_them(self):
        self.start_of()
        self.diatom('system', 'prune', '-f')
        self.assertEqual(list((self.home.path / 'home/templates').glob('vm-*')), [])


class Verbs(WarmTest):
    def test_a_template_is_made_beforehand_listed_and_removed(self):
        name = self.diatom('template', 'build', '-m', '256m', '--read-only', '--network', 'none').stdout.decode().strip()
        (template,) = self.templates()
        self.assertEqual(template.name, name)
        made = (template / 'template.json').stat().st_mtime_ns
        self.assertEqual(self.diatom('template', 'build', '-m', '256m', '--read-only', '--network', 'none').stdout.decode(),
                         name + '\n')
        self.assertEqual(self.start_of('-m', '256m', '--read-only', '--network', 'none'), 'warm')
        self.assertEqual((template / 'template.json').stat().st_mtime_ns, made)
        for path in (template, *template.iterdir()):
            self.assertEqual(path.stat().st_mode & 0o077, 0, path)

        rows = [json.loads(line) for line in self.diatom('template', 'ls', '--format', 'json').stdout.splitlines()]
        (row,) = (row for row in rows if row['Name'] == name)
        for field, value in {'Image': 'any', 'CPUs': '1', 'Memory': '256MiB', 'Network': 'none', 'Root': 'read-only',
                             'Status': 'ready'}.items():
            self.assertEqual(row[field], value)
        self.assertIn(name, self.diatom('template', 'ls', '-q').stdout.decode().split())
        self.assertIn(b'2 usable', self.diatom('doctor').stdout)  # and the image's

        self.diatom('template', 'rm', name)
        self.assertEqual(self.templates(), [])
        self.assertIn(b'none of that name', self.diatom('template', 'rm', name, code=1).stderr)
        self.diatom('template', 'rm', code=1)

    def test_a_container_runs_on_without_its_template(self):
        self.diatom('run', '-d', '--name', 'on', 'busybox', 'sleep', '1000')
        self.diatom('template', 'rm', '--all')
        self.assertEqual(self.diatom('exec', 'on', 'echo', 'there').stdout, b'there\n')
        self.diatom('rm', '-f', 'on')


if __name__ == '__main__':
    main()
