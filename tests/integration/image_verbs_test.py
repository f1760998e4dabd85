#!/usr/bin/env python3
"""The verbs of images as docker's users know them: output, exit codes, what is refused. No registry, no VM."""
import io
import json
import os
import pathlib
import pty
import subprocess
import sys
import tarfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from diatom import DEADLINE, HomeTest, main  # noqa: E402

DOCKERS_FIELDS = ['Containers', 'CreatedAt', 'CreatedSince', 'Digest', 'ID', 'Repository', 'SharedSize', 'Size', 'Tag',
                  'UniqueSize', 'VirtualSize']


class ListTest(HomeTest):
    def out(self, *words) -> str:
        return self.diatom(*words).stdout.decode()

    def id(self) -> str:
        return self.out('inspect', '-f', '{{.Id}}', 'busybox').strip()

    def test_images_has_dockers_columns(self):
        heading, line = self.out('images').splitlines()
        columns = [word.strip() for word in heading.split('   ') if word]
        self.assertEqual(columns, ['REPOSITORY', 'TAG', 'IMAGE ID', 'CREATED', 'SIZE'])
        self.assertEqual(line.split()[:2], ['busybox', 'latest'])
        self.assertEqual(line.split()[2], self.id().removeprefix('sha256:')[:12])

    def test_the_aliases_say_the_same(self):
        shown = self.out('images')
        for words in (['image', 'ls'], ['image', 'list'], ['images', '-a']):
            self.assertEqual(self.out(*words), shown, words)

    def test_quiet_and_no_trunc(self):
        self.assertEqual(self.out('images', '-q', '--no-trunc').strip(), self.id())
        self.assertEqual(self.out('images', '-q').strip(), self.id().removeprefix('sha256:')[:12])

    def test_json_has_dockers_fields_one_object_a_line(self):
        (line,) = self.out('images', '--format', 'json').splitlines()
        self.assertEqual(list(json.loads(line)), DOCKERS_FIELDS)

    def test_templates_and_tables_of_templates(self):
        self.assertEqual(self.out('images', '--format', '{{.Repository}}:{{.Tag}}'), 'busybox:latest\n')
        self.assertEqual(self.out('images', '--format', r'table {{.Tag}}\t{{.Repository}}'),
                         'TAG      REPOSITORY\nlatest   busybox\n')

    def test_an_unknown_field_lists_those_there_are(self):
        for words in (['images'], ['images', 'no-such-image']):
            error = self.diatom(*words, '--format', '{{.Nope}}', code=1).stderr.decode()
            self.assertIn('there is no field Nope', error)
            self.assertIn('Repository', error)

    def test_filters(self):
        cases = [('reference=busybox', 1), ('reference=busy*', 1), ('reference=busybox:latest', 1), ('reference=b', 0),
                 ('reference=*:other', 0), ('dangling=true', 0), ('dangling=false', 1), ('label=nobody', 0),
                 ('until=1970-01-01', 0)]
        for text, count in cases:
            self.assertEqual(len(self.out('images', '-q', '-f', text).split()), count, text)
        self.assertEqual(len(self.out('images', '-q', 'busy*').split()), 1)
        self.assertIn('the keys are', self.diatom('images', '-f', 'nope=1', code=1).stderr.decode())

    def test_inspect_prints_what_it_finds_and_names_what_it_does_not(self):
        result = self.diatom('inspect', 'busybox', 'nobody', code=1)
        self.assertEqual(len(json.loads(result.stdout)), 1)
        self.assertIn('nobody', result.stderr.decode())
        self.assertEqual(self.diatom('image', 'inspect', 'nobody', code=1).stdout, b'[]\n')
        self.assertEqual(self.diatom('inspect', '--type', 'container', 'busybox', code=1).stdout, b'[]\n')

    def test_inspect_takes_templates(self):
        self.assertEqual(self.out('inspect', '-f', '{{.Os}}/{{len .RootFS.Layers}}', 'busybox'), 'linux/1\n')
        self.assertEqual(self.out('inspect', '-f', '{{index .RepoTags 0}}', 'busybox'), 'busybox:latest\n')
        self.assertEqual(self.out('inspect', '-f', '{{json .Config.Labels}}', 'busybox'), 'null\n')

    def test_prune_asks_a_person_or_refuses(self):
        self.assertIn('--force', self.diatom('image', 'prune', code=1).stderr.decode())
        self.assertEqual(self.out('image', 'prune', '-f').splitlines()[-1], 'Total reclaimed space: 0B')

    def test_history_shows_steps(self):
        self.assertEqual(self.out('history', 'busybox').split()[:2], ['IMAGE', 'CREATED'])
        for line in self.out('history', '--format', 'json', 'busybox').splitlines():
            self.assertEqual(list(json.loads(line)), ['Comment', 'CreatedAt', 'CreatedBy', 'CreatedSince', 'ID', 'Size'])

    def test_every_help_reads(self):
        for verb in ('pull', 'push', 'tag', 'images', 'rmi', 'save', 'load', 'import', 'history', 'inspect', 'login', 'logout'):
            self.assertIn(b'Usage: ', self.diatom(verb, '--help').stdout, verb)
        for verb in ('ls', 'list', 'inspect', 'rm', 'remove', 'pull', 'push', 'tag', 'save', 'load', 'import', 'history', 'prune'):
            self.assertIn(b'Usage: ', self.diatom('image', verb, '--help').stdout, verb)

    def test_login_has_nobody_to_ask(self):
        self.assertIn('--password-stdin', self.diatom('login', 'localhost:1', code=1).stderr.decode())
        self.assertIn('--username', self.diatom('login', '--password-stdin', 'localhost:1', code=1).stderr.decode())

    def test_run_of_a_missing_image_that_may_not_be_pulled(self):
        error = self.diatom('run', '--rm', '--pull', 'never', 'nobody', 'true', code=125).stderr.decode()
        self.assertIn('nobody', error)
        self.diatom('run', '--rm', '--pull', 'sometimes', 'busybox', 'true', code=125)


class SaveTest(HomeTest):
    def test_nothing_is_written_to_a_terminal(self):
        master, terminal = pty.openpty()
        process = self.home.popen('save', 'busybox', stdout=terminal, stderr=terminal)
        os.close(terminal)
        self.assertEqual(process.wait(60), 1)
        self.assertIn(b'terminal', os.read(master, 4096))
        os.close(master)

    def test_a_file_is_there_whole_or_not_at_all(self):
        folder = self.home.path / 'saved'
        folder.mkdir()
        self.diatom('save', '-o', folder / 'a.tar', 'busybox')
        with tarfile.open(folder / 'a.tar') as archive:
            self.assertIn('manifest.json', archive.getnames())
        self.diatom('save', '-o', folder / 'b.tar', 'busybox', 'nobody', code=1)
        self.assertEqual(os.listdir(folder), ['a.tar'])

    def test_one_name_is_written_once_however_often_it_was_given(self):
        data = self.diatom('save', 'busybox', 'busybox:latest', 'docker.io/library/busybox').stdout
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            [image] = json.load(archive.extractfile('manifest.json'))
            index = json.load(archive.extractfile('index.json'))
        self.assertEqual(image['RepoTags'], ['busybox:latest'])
        self.assertEqual(len(index['manifests']), 1)

    def test_a_folder_that_is_not_there_is_named(self):
        said = self.diatom('save', '-o', '/no/such/x.tar', 'busybox', code=1).stderr
        self.assertIn(b'write /no/such/x.tar', said)

    def test_a_full_disk_is_an_error(self):
        with open('/dev/full', 'wb') as full:
            process = self.home.popen('images', stdout=full, stderr=subprocess.DEVNULL)
            self.assertEqual(process.wait(60), 1)


class RemoveTest(HomeTest):
    def test_every_name_has_its_turn(self):
        self.diatom('tag', 'busybox', 'other:1')
        result = self.diatom('rmi', 'nobody', 'other:1', 'nothing', code=1)
        self.assertEqual(result.stdout, b'Untagged: other:1\n')
        for name in (b'nobody', b'nothing'):
            self.assertIn(name, result.stderr)

    def test_force_does_not_mind_what_is_not_there(self):
        result = self.diatom('rmi', '-f', 'nobody', '--no-prune')
        self.assertIn(b'nobody', result.stderr)
        self.diatom('rmi', '-f', 'UPPER', code=1)

    def test_a_container_keeps_its_image_or_is_not_made(self):
        """The engine fails at once, and leaves the record: that is what is raced with."""
        for round in range(8):
            words = ('run', '--pull', 'never', 'busybox', 'true')
            runs = [self.home.popen(*words, env={'DIATOM_QEMU': '/bin/false'}, stdin=subprocess.DEVNULL,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(2)]
            removed = self.home.run('rmi', 'busybox')
            said = [process.communicate(timeout=DEADLINE)[1] for process in runs]
            made = self.home.containers()
            with self.subTest(round=round, removed=removed.returncode, said=said):
                self.assertEqual(removed.returncode, 1 if made else 0, removed.stderr)
                self.assertEqual(self.home.run('image', 'inspect', 'busybox').returncode, 0 if made else 1)
                if made:
                    self.assertIn(b'a container was made from it', removed.stderr)
                    self.diatom('rm', *made)
                else:
                    self.home.load_busybox()

    def test_import_takes_changes_and_a_message(self):
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode='w') as archive:
            archive.addfile(tarfile.TarInfo('file'))
        result = self.diatom('import', '-c', 'ENV A=b', '-c', 'CMD ["sh", "-c"]', '-m', 'by hand', '-', 'made:1',
                             stdin=tar.getvalue())
        self.assertTrue(result.stdout.startswith(b'sha256:'))
        shown = self.diatom('inspect', '-f', '{{json .Config.Env}} {{.Config.Cmd}}', 'made:1').stdout
        self.assertEqual(shown, b'["A=b"] [sh -c]\n')
        self.assertEqual(self.diatom('history', '--format', '{{.Comment}}', 'made:1').stdout, b'by hand\n')


if __name__ == '__main__':
    main()
