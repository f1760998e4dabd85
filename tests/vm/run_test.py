#!/usr/bin/env python3
"""`diatom run` against real microVMs: streams, environment, user, directories, limits, exit codes."""
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from diatom import DEADLINE, ENGINE, HomeTest, main  # noqa: E402


class Streams(HomeTest):
    def test_stdout_and_stderr_are_separate(self):
        result = self.diatom('run', '--rm', 'busybox', 'sh', '-c', 'echo out; echo err >&2')
        self.assertEqual((result.stdout, result.stderr), (b'out\n', b'err\n'))

    def test_ten_megabytes_of_output_and_input_come_through_byte_for_byte(self):
        data = os.urandom(10 << 20)
        result = self.diatom('run', '--rm', '-i', 'busybox', 'cat', stdin=data)
        self.assertEqual(len(result.stdout), len(data))
        self.assertEqual(hashlib.sha256(result.stdout).digest(), hashlib.sha256(data).digest())

    def test_stdin_is_closed_at_its_end(self):
        result = self.diatom('run', '--rm', '-i', 'busybox', 'wc', '-c', stdin=b'x' * 12345)
        self.assertEqual(result.stdout.strip(), b'12345')

    def test_without_i_stdin_is_empty(self):
        self.assertEqual(self.diatom('run', '--rm', 'busybox', 'cat', stdin=b'not for the guest').stdout, b'')

    def test_a_program_that_does_not_read_its_stdin_still_ends(self):
        self.diatom('run', '--rm', '-i', 'busybox', 'true', stdin=b'x' * (4 << 20))

    def test_output_of_a_reader_that_goes_away_ends_the_program(self):
        process = self.home.popen('run', '--rm', 'busybox', 'yes', stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.assertEqual(process.stdout.read(2), b'y\n')
        process.stdout.close()
        self.assertNotEqual(process.wait(DEADLINE), 0)


class Environment(HomeTest):
    def test_five_hundred_variables_arrive_intact(self):
        wanted = {f'V{i}': f'"{i}" \'q\' $HOME \\ new\nline\ttab Größe 漢字 {"x" * (i % 97)}' for i in range(500)}
        options = [word for key, value in wanted.items() for word in ('-e', f'{key}={value}')]
        out = self.diatom('run', '--rm', *options, 'busybox', 'cat', '/proc/self/environ').stdout
        got = dict(entry.split('=', 1) for entry in out.decode().split('\0') if entry)
        self.assertEqual({k: got.get(k) for k in wanted}, wanted)

    def test_env_file_and_passed_on_variables(self):
        with tempfile.NamedTemporaryFile('w', suffix='.env') as file:
            file.write('# a comment\n\nFROM_FILE=a b c\nPASSED\nNOT_SET\n')
            file.flush()
            out = self.guest('env', '--env-file', file.name, '-e', 'ALSO', '-e', 'FROM_FLAG=1',
                             env={'PASSED': 'yes', 'ALSO': 'too'})
        self.assertIn('FROM_FILE=a b c\n', out)
        self.assertIn('PASSED=yes\n', out)
        self.assertIn('ALSO=too\n', out)
        self.assertIn('FROM_FLAG=1\n', out)
        self.assertNotIn('NOT_SET', out)

    def test_nothing_of_the_hosts_environment_leaks(self):
        self.assertNotIn('SECRET_OF_HOST', self.guest('env', env={'SECRET_OF_HOST': 'x'}))

    def test_working_directory_is_made_and_entered(self):
        self.assertEqual(self.guest('pwd', '-w', '/made/for/me'), '/made/for/me\n')

    def test_entrypoint_replaces_the_program(self):
        result = self.diatom('run', '--rm', '--entrypoint', 'echo', 'busybox', 'a', '-n', '--rm')
        self.assertEqual(result.stdout, b'a -n --rm\n')

    def test_hostname(self):
        self.assertEqual(self.guest('hostname; cat /etc/hostname; grep -c chosen /etc/hosts', '--hostname', 'chosen'),
                         'chosen\nchosen\n1\n')


class Users(HomeTest):
    def test_root_by_default_with_dockers_capabilities(self):
        out = self.guest('id -u; grep -E "Cap(Eff|Bnd)" /proc/self/status')
        self.assertEqual(out.split(), ['0', 'CapEff:', '00000000a80425fb', 'CapBnd:', '00000000a80425fb'])

    def test_by_name_from_the_images_own_passwd_with_its_groups(self):
        out = self.guest('id -u; id -g; id -G; echo $HOME; grep CapEff /proc/self/status', '-u', 'user')
        self.assertEqual(out.split(), ['1000', '1000', '1000', '2000', '/home/user', 'CapEff:', '0000000000000000'])

    def test_by_number_and_group(self):
        self.assertEqual(self.guest('id -u; id -g', '-u', '4321:extra').split(), ['4321', '2000'])

    def test_an_unknown_user_is_named(self):
        result = self.diatom('run', '--rm', '-u', 'nobody-here', 'busybox', 'true', code=125)
        self.assertIn(b'nobody-here', result.stderr)


class Isolation(HomeTest):
    def test_own_namespaces_and_mounts(self):
        out = self.guest('echo $$; ls /proc | grep -c "^[0-9]"; for f in /proc /sys /dev /dev/pts /dev/shm /sys/fs/cgroup; '
                         'do grep -q " $f " /proc/mounts && echo $f; done; test -d /run && echo run; cat /proc/self/cgroup; '
                         'test -f /etc/resolv.conf && echo resolv')
        self.assertEqual(out.split('\n')[0], '1')
        self.assertEqual(out.split('\n')[2:],
                         ['/proc', '/sys', '/dev', '/dev/pts', '/dev/shm', '/sys/fs/cgroup', 'run', '0::/', 'resolv', ''])

    def test_the_root_can_be_written(self):
        self.assertEqual(self.guest('echo x > /new && cat /new && rm /bin/yes && ! test -e /bin/yes && echo gone'), 'x\ngone\n')

    def test_a_read_only_root_cannot_and_its_tmpfs_can(self):
        out = self.guest('touch /new 2>/dev/null || echo refused; echo x > /scratch/f && cat /scratch/f; '
                         'df -k /scratch | tail -n 1 | awk "{print \\$2}"; echo y > /dev/shm/f && cat /dev/shm/f',
                         '--read-only', '--tmpfs', '/scratch:size=4m')
        self.assertEqual(out, 'refused\nx\n4096\ny\n')

    def test_cpus_and_memory(self):
        out = self.guest('nproc; awk "/MemTotal/ {print \\$2}" /proc/meminfo', '--cpus', '1', '-m', '256m')
        cpus, kilobytes = map(int, out.split())
        self.assertEqual(cpus, 1)
        self.assertGreater(kilobytes, 180 << 10)
        self.assertLess(kilobytes, 280 << 10)  # libkrun's kernel lies beside the memory that was asked for

    def test_zombies_of_a_daemon_do_not_pile_up_in_the_agent(self):
        self.assertEqual(self.guest('for i in 1 2 3; do (sleep 0 &) ; done; wait; echo done'), 'done\n')


class ExitCodes(HomeTest):
    def test_the_programs_own(self):
        self.guest('exit 7', code=7)

    def test_a_signal_is_128_plus_its_number(self):
        self.guest('sh -c "kill -9 \\$\\$"; exit $?', code=137)

    def test_no_such_program_is_127_and_named(self):
        result = self.diatom('run', '--rm', 'busybox', 'no-such-program', code=127)
        self.assertIn(b'no-such-program', result.stderr)

    def test_not_executable_is_126_and_named(self):
        result = self.diatom('run', '--rm', 'busybox', '/etc/passwd', code=126)
        self.assertIn(b'/etc/passwd', result.stderr)

    def test_our_own_failure_is_125(self):
        for words in (['--nonsense', 'busybox'], ['-m', '12zz', 'busybox'], ['no-such-image'], ['--cpus', 'x', 'busybox'],
                      ['--engine', 'none', 'busybox'], []):
            self.diatom('run', '--rm', *words, code=125)


class Records(HomeTest):
    def test_a_container_without_rm_stays_and_inspect_tells_engine_and_accelerator(self):
        self.diatom('run', '--name', 'kept', 'busybox', 'sh', '-c', 'exit 3', code=3)
        try:
            (info,) = self.home.json('inspect', 'kept')
            self.assertEqual(info['State']['ExitCode'], 3)
            self.assertEqual(info['State']['Status'], 'exited')
            self.assertEqual(info['Engine']['Name'], ENGINE)
            self.assertIn(info['Engine']['Accelerator'], ('kvm', 'tcg'))
            again = self.diatom('run', '--name', 'kept', 'busybox', 'true', code=125)
            self.assertIn(b'kept', again.stderr)
        finally:
            self.diatom('rm', 'kept')

    def test_a_running_container_is_removed_by_force_only(self):
        process = self.home.popen('run', '--name', 'busy', 'busybox', 'sh', '-c', 'echo ready; sleep 1000',
                                  stdout=subprocess.PIPE)
        self.assertEqual(process.stdout.readline(), b'ready\n')
        self.assertIn(b'running', self.diatom('rm', 'busy', code=1).stderr)
        self.assertIn(b'busy', self.diatom('ps').stdout)
        self.diatom('rm', '-f', 'busy')
        process.wait(DEADLINE)
        process.stdout.close()
        self.assertEqual(self.home.containers(), [])

    def test_run_json_names_engine_and_stages(self):
        result = self.diatom('run', '--rm', '--json', 'busybox', 'true')
        told = json.loads(result.stderr)
        self.assertEqual(told['engine'], ENGINE)
        self.assertEqual(told['stages'][-1]['stage'], 'exited')


if __name__ == '__main__':
    main()
