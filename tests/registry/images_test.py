#!/usr/bin/env python3
"""Names and listings, in docker's words: tag, rmi, prune, history, inspect, images --filter and --format."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from diatom import main  # noqa: E402
from registry_case import RegistryTest  # noqa: E402
from registry_images import layer, noise  # noqa: E402


class ImagesTest(RegistryTest):
    """Three images, loaded from a layout in the order of their names."""

    @classmethod
    def push_images(cls):
        base = layer({'base': noise(30_000, 1)})
        history = [{'created': '2023-01-01T00:00:00Z', 'created_by': '/bin/sh -c #(nop) ADD file:base in /'},
                   {'created': '2023-01-02T00:00:00Z', 'created_by': 'ENV A=1', 'empty_layer': True, 'comment': 'buildkit'},
                   {'created': '2023-01-03T00:00:00Z', 'created_by': 'COPY a ' + 'very-long-word ' * 10}]
        cls.images = {
            'a/one:v1': cls.layout.image('a/one:v1', [base, layer({'a': b'a' * 5000})], history=history,
                                         config={'Labels': {'kind': 'test', 'stage': 'one'}}, created='2023-01-03T00:00:00Z'),
            'a/two:v1': cls.layout.image('a/two:v1', [base, layer({'b': b'b'})], config={'Labels': {'kind': 'test'}},
                                         created='2023-02-01T00:00:00Z'),
            'three:v3': cls.layout.image('three:v3', [layer({'c': b'c'})], created='2023-03-01T00:00:00Z'),
        }

    def setUp(self):
        super().setUp()
        self.home.run('images')
        self.empty = self.home.files()
        self.diatom('load', '-q', '-i', self.layout.folder)
        self.one, self.two, self.three = self.images.values()

    def lines(self, *words, **more) -> list[str]:
        return self.diatom(*words, **more).stdout.decode().splitlines()

    def names(self, *words) -> list[str]:
        return self.lines('images', '--format', '{{.Repository}}:{{.Tag}}', *words)


class Names(ImagesTest):
    def test_another_name_copies_nothing(self):
        files = self.home.files()
        self.assertEqual(self.diatom('tag', 'a/one:v1', 'copy').stdout, b'')
        self.assertEqual(self.home.files(), files)
        self.assertEqual(set(self.inspect('copy')['RepoTags']), {'a/one:v1', 'copy:latest'})
        self.diatom('image', 'tag', self.one.id[7:19], 'registry.example:5000/x/y:z')
        self.assertEqual(self.inspect('registry.example:5000/x/y:z')['Id'], self.one.id)

    def test_a_name_moves(self):
        self.diatom('tag', 'a/two:v1', 'a/one:v1')
        self.assertEqual(self.inspect('a/one:v1')['Id'], self.two.id)
        self.assertEqual(self.inspect(self.one.id)['RepoTags'], [])

    def test_what_is_no_name(self):
        for name in ('UPPER', 'a b', '', 'x:', ':x', f'x@{self.one.manifest.digest}', '../x'):
            with self.subTest(name):
                self.assertNotEqual(self.home.run('tag', 'a/one:v1', name).returncode, 0)
        self.refused('tag', 'none:v1', 'x', naming=('none:v1',))
        self.assertEqual(len(self.names()), 3)

    def test_a_name_goes_and_the_image_with_its_last_one(self):
        self.diatom('tag', 'a/one:v1', 'copy:v1')
        self.assertEqual(self.lines('rmi', 'copy:v1'), ['Untagged: copy:v1'])
        self.assert_is('a/one:v1', self.one)
        out = self.lines('image', 'rm', 'a/one:v1')
        self.assertEqual((out[0], f'Deleted: {self.one.id}' in out), ('Untagged: a/one:v1', True))
        self.refused('image', 'inspect', self.one.id)
        self.assert_is('a/two:v1', self.two)  # which shares a layer

    def registry_names(self, name: str) -> list[str]:
        return [text.split('@')[0] for text in self.inspect(name)['RepoDigests']]

    def test_a_digest_goes_alone_where_there_are_names(self):
        self.diatom('tag', 'a/one:v1', f'{self.registry.host}/pushed:v1')
        self.diatom('push', f'{self.registry.host}/pushed:v1')
        digest = f'{self.registry.host}/pushed@{self.one.manifest.digest}'
        self.assertEqual(self.lines('rmi', digest), [f'Untagged: {digest}'])
        self.assertEqual(self.inspect('a/one:v1')['RepoDigests'], [])
        self.assertEqual(len(self.names()), 4)
        self.refused('rmi', digest)

    def test_what_a_registry_calls_it_goes_with_its_last_name_there(self):
        for tag in ('v1', 'v2'):
            self.diatom('tag', 'a/one:v1', f'{self.registry.host}/pushed:{tag}')
        self.diatom('push', '-a', f'{self.registry.host}/pushed')
        self.diatom('rmi', f'{self.registry.host}/pushed:v1')
        self.assertEqual(self.registry_names('a/one:v1'), [f'{self.registry.host}/pushed'])
        digest = f'{self.registry.host}/pushed@{self.one.manifest.digest}'
        self.assertEqual(self.lines('rmi', f'{self.registry.host}/pushed:v2'),
                         [f'Untagged: {self.registry.host}/pushed:v2', f'Untagged: {digest}'])
        self.assertEqual(self.registry_names('a/one:v1'), [])
        self.assertEqual(sorted(self.names()), ['a/one:v1', 'a/two:v1', 'three:v3'])

    def test_by_id_several_names_need_force(self):
        self.diatom('tag', 'a/one:v1', 'copy:v1')
        self.refused('rmi', self.one.id, naming=('-f',))
        out = self.lines('rmi', '-f', self.one.id[7:15])
        self.assertEqual({line for line in out if line.startswith('Untagged: ') and '@' not in line},
                         {'Untagged: a/one:v1', 'Untagged: copy:v1'})
        self.assertNotIn(self.one.id, self.here())

    def test_several_are_removed_and_what_is_missing_is_said(self):
        result = self.home.run('rmi', 'a/one:v1', 'none:v1', 'three:v3')
        self.assertEqual(result.returncode, 1)
        self.assertIn('none:v1', result.stderr.decode())
        self.assertEqual(self.here(), [self.two.id])

    def test_after_all_are_removed_nothing_is_left(self):
        self.diatom('rmi', *self.images)
        self.assertEqual(self.home.files(), self.empty)

    def test_prune_takes_what_has_no_name(self):
        self.diatom('tag', 'a/two:v1', 'a/one:v1')
        out = self.diatom('image', 'prune', '-f').stdout.decode()
        self.assertIn(self.one.id, out)
        self.assertIn('Total reclaimed space:', out)
        self.assertEqual(set(self.here()), {self.two.id, self.three.id})
        self.diatom('image', 'prune', '-f')
        self.assertEqual(set(self.here()), {self.two.id, self.three.id})

    def test_prune_all_takes_what_no_container_uses(self):
        self.diatom('image', 'prune', '--all', '--force', '--filter', 'label=stage')
        self.assertEqual(set(self.here()), {self.two.id, self.three.id})
        self.diatom('image', 'prune', '-a', '-f', '--filter', 'label!=kind=test')
        self.assertEqual(self.here(), [self.two.id])
        self.diatom('image', 'prune', '-a', '-f', '--filter', 'until=1h')
        self.assertEqual(self.here(), [self.two.id])
        self.diatom('image', 'prune', '-a', '-f')
        self.assertEqual(self.home.files(), self.empty)

    def test_prune_does_not_go_on_without_a_yes(self):
        self.home.run('image', 'prune', '-a', stdin=b'')
        self.home.run('image', 'prune', '-a', stdin=b'n\n')
        self.assertEqual(len(self.here()), 3)


class Damaged(ImagesTest):
    """What a bad disk or a careless hand does to an image's config harms no other image."""

    def setUp(self):
        super().setUp()
        self.push('three:v3', 'three:v3')
        self.name = f'{self.proxy.host}/three:v3'
        self.diatom('rmi', 'three:v3')
        self.diatom('pull', self.name)
        self.diatom('image', 'prune', '-f')  # which sweeps
        self.whole = self.home.files()

    def damages(self):
        """Each is done to a config that is whole: missing, empty, cut short, changed."""
        config = self.home.path / 'home/blobs/sha256' / self.three.id[7:]
        text = config.read_bytes()
        for left in (None, b'', text[:-9], text.replace(b'2023', b'2024')):
            config.unlink()
            if left is not None:
                config.write_bytes(left)
            yield left
            self.diatom('pull', self.name)
            self.assertEqual(config.read_bytes(), text)

    def test_the_others_are_listed_and_this_one_is_marked(self):
        for _ in self.damages():
            result = self.diatom('images', '--format', '{{.Repository}}:{{.Tag}} {{.CreatedSince}}')
            rows = dict(line.rsplit(' ', 1) for line in result.stdout.decode().splitlines() if line.endswith('damaged'))
            self.assertEqual(list(rows), [self.name])
            self.assertEqual(len(result.stdout.splitlines()), 3)
            said = result.stderr.decode()
            for word in ('warning', self.name, 'pull', f'diatom rmi {self.name}'):
                self.assertIn(word, said)
            self.assertEqual(self.diatom('images', 'a/one').stderr, b'')
            self.assertEqual(len(json.loads(self.diatom('images', '--json').stdout)), 3)

    def test_what_reads_it_says_what_to_do(self):
        for _ in self.damages():
            for words in (('inspect', self.name), ('image', 'inspect', self.three.id[7:19]), ('history', self.name),
                          ('save', '-o', self.home.path / 'x.tar', self.name)):
                said = self.refused(*words)
                self.assertTrue('pull' in said and ('damaged' in said or 'not in the store' in said), said)
            self.diatom('inspect', 'a/one:v1')

    def test_a_pull_makes_it_whole(self):
        for policy in ('always', 'newer', 'missing'):
            for _ in self.damages():
                self.diatom('pull', '--policy', policy, self.name)
                self.assert_is(self.name, self.three)
                self.assertEqual(self.home.files(), self.whole)

    def test_a_load_makes_it_whole(self):
        for _ in self.damages():
            self.diatom('load', '-i', self.layout.folder)
            self.assert_is('three:v3', self.three)
            self.diatom('rmi', 'three:v3')

    def test_it_can_be_removed(self):
        for words in (('rmi', self.name), ('rmi', self.three.id), ('image', 'prune', '-a', '-f')):
            for _ in self.damages():
                self.diatom(*words)
                self.assertNotIn(self.three.id, self.here())
                self.assertEqual([f for f in self.home.files() if self.three.id[7:] in f], [])


class Listings(ImagesTest):
    def test_the_columns_are_dockers(self):
        out = self.lines('images')
        self.assertEqual(out[0].split('  ')[0], 'REPOSITORY')
        self.assertEqual([w.strip() for w in out[0].split('   ') if w.strip()], ['REPOSITORY', 'TAG', 'IMAGE ID', 'CREATED', 'SIZE'])
        rows = {line.split()[0]: line.split() for line in out[1:]}
        self.assertEqual(set(rows), {'a/one', 'a/two', 'three'})
        self.assertEqual(rows['three'][1:3], ['v3', self.three.id[7:19]])
        self.assertEqual(out, self.lines('image', 'ls'))

    def test_quiet_is_ids(self):
        ids = [image.id[7:19] for image in self.images.values()]
        self.assertEqual(sorted(self.lines('images', '-q')), sorted(ids))
        self.assertEqual(sorted(self.lines('images', '-q', '--no-trunc')), sorted(i.id for i in self.images.values()))

    def test_an_image_with_two_names_is_two_rows(self):
        self.diatom('tag', 'three:v3', 'three:v4')
        self.assertEqual(sorted(self.names('three')), ['three:v3', 'three:v4'])

    def test_one_without_a_name_is_none(self):
        self.diatom('tag', 'a/two:v1', 'three:v3')
        self.assertIn('<none>:<none>', self.names())

    def test_by_repository(self):
        self.assertEqual(self.names('a/one'), ['a/one:v1'])
        self.assertEqual(self.names('a/one:v1'), ['a/one:v1'])
        self.assertEqual(self.names('a/one:v2'), [])
        self.assertEqual(self.names('none'), [])

    def test_filters(self):
        self.diatom('tag', 'three:v3', 'three:other')
        cases = [(['reference=a/*'], {'a/one:v1', 'a/two:v1'}), (['reference=three:o*'], {'three:other'}), (['reference=*/two'], {'a/two:v1'}),
                 (['reference=*:v1'], set()), (['reference=a/one', 'reference=three'], {'a/one:v1', 'three:v3', 'three:other'}),
                 (['label=kind'], {'a/one:v1', 'a/two:v1'}), (['label=stage=one'], {'a/one:v1'}), (['label=stage=two'], set()),
                 (['label=kind', 'label=stage'], {'a/one:v1'}), (['dangling=true'], set()),
                 (['dangling=false', 'label=stage'], {'a/one:v1'}), (['before=a/two:v1'], {'a/one:v1'}),
                 (['since=a/two:v1'], {'three:v3', 'three:other'}), (['since=a/one:v1', 'before=three:v3'], {'a/two:v1'})]
        for filters, expected in cases:
            with self.subTest(filters):
                self.assertEqual(set(self.names(*(word for f in filters for word in ('--filter', f)))), expected)
        for wrong in ('none=x', 'dangling=perhaps', 'before=none:v1', 'label'):
            with self.subTest(wrong):
                self.refused('images', '--filter', wrong)

    def test_dangling(self):
        self.diatom('tag', 'a/two:v1', 'three:v3')
        self.assertEqual(self.lines('images', '-q', '--no-trunc', '--filter', 'dangling=true'), [self.three.id])

    def test_json_lines_have_dockers_names(self):
        rows = [json.loads(line) for line in self.lines('images', '--format', 'json')]
        self.assertEqual(rows, [json.loads(line) for line in self.lines('images', '--format', '{{json .}}')])
        self.assertEqual({row['Repository'] for row in rows}, {'a/one', 'a/two', 'three'})
        for key in ('Containers', 'CreatedAt', 'CreatedSince', 'Digest', 'ID', 'Repository', 'SharedSize', 'Size', 'Tag', 'UniqueSize', 'VirtualSize'):
            self.assertIn(key, rows[0])

    def test_templates(self):
        cases = [('{{.ID}} {{.Tag}}', f'{self.three.id[7:19]} v3'), ('{{json .Repository}}', '"three"'), ('{{upper .Tag}}', 'V3'),
                 ('{{if eq .Tag "v3"}}yes{{else}}no{{end}}', 'yes'), (r'{{.Repository}}\t{{.Tag}}', 'three\tv3')]
        for template, expected in cases:
            with self.subTest(template):
                self.assertEqual(self.lines('images', '--format', template, 'three'), [expected])
        table = self.lines('images', '--format', r'table {{.Repository}}\t{{.ID}}', 'three')
        self.assertEqual([line.split() for line in table], [['REPOSITORY', 'IMAGE', 'ID'], ['three', self.three.id[7:19]]])
        self.refused('images', '--format', '{{.Nothing}}', naming=('Nothing',))
        self.refused('images', '--format', '{{.Tag', naming=())

    def test_digests(self):
        self.push('three:v3', 'team/three:v3')
        self.diatom('pull', f'{self.proxy.host}/team/three:v3')
        row = self.lines('images', '--digests', f'{self.proxy.host}/team/three')[-1].split()
        self.assertEqual(row[:3], [f'{self.proxy.host}/team/three', 'v3', self.three.manifest.digest])

    def test_inspect(self):
        [info] = json.loads(self.diatom('inspect', 'a/one:v1').stdout)
        self.assertEqual(info, self.inspect('a/one:v1'))
        self.assertEqual((info['Id'], info['RepoTags'], info['Config']['Labels']['stage']), (self.one.id, ['a/one:v1'], 'one'))
        self.assertEqual(self.lines('inspect', '-f', '{{.Id}} {{len .RootFS.Layers}}', 'a/one:v1', 'three:v3'),
                         [f'{self.one.id} 2', f'{self.three.id} 1'])
        self.assertEqual(self.lines('image', 'inspect', '--format', '{{index .Config.Labels "kind"}}', 'a/one:v1'), ['test'])
        result = self.home.run('inspect', 'none:v1')
        self.assertEqual((result.returncode, json.loads(result.stdout)), (1, []))
        self.assertIn('none:v1', result.stderr.decode())
        result = self.home.run('inspect', 'none:v1', 'three:v3')
        self.assertEqual((result.returncode, [i['Id'] for i in json.loads(result.stdout)]), (1, [self.three.id]))

    def test_history(self):
        rows = [json.loads(line) for line in self.lines('history', '--no-trunc', '--format', 'json', 'a/one:v1')]
        self.assertEqual([row['CreatedBy'].split()[0] for row in rows], ['COPY', 'ENV', '/bin/sh'])
        self.assertEqual([row['Comment'] for row in rows], ['', 'buildkit', ''])
        self.assertEqual([row['ID'] for row in rows], [self.one.id, '<missing>', '<missing>'])
        self.assertEqual(rows[1]['Size'], '0B')
        self.assertNotEqual(rows[0]['Size'], '0B')
        self.assertEqual(self.lines('history', '-q', 'a/one:v1'), [self.one.id[7:19], '<missing>', '<missing>'])
        table = self.lines('image', 'history', 'a/one:v1')
        self.assertEqual([w.strip() for w in table[0].split('   ') if w.strip()], ['IMAGE', 'CREATED', 'CREATED BY', 'SIZE', 'COMMENT'])
        self.assertTrue(all(len(line) < 200 for line in table))
        self.refused('history', 'none:v1', naming=('none:v1',))


if __name__ == '__main__':
    main()
