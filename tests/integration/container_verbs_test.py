#!/usr/bin/env python3
"""The verbs of containers that need no VM: what was only created can be listed, inspected, renamed and removed."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from diatom import HomeTest, main  # noqa: E402


class ContainerVerbsTest(HomeTest):
    def tearDown(self):
        self.diatom('container', 'prune', '-f')

    def out(self, *words) -> str:
        return self.diatom(*words).stdout.decode()

    def create(self, name: str, *options, command=('true',)) -> str:
        return self.out('create', '--name', name, *options, 'busybox', *command).strip()

    def names(self, *filters) -> str:
        words = [word for text in filters for word in ('-f', text)]
        return ' '.join(sorted(self.out('ps', '-a', '--format', '{{.Names}}', *words).split()))


class Lists(ContainerVerbsTest):
    def test_ps_has_dockers_columns_and_words(self):
        ident = self.create('web', '-p', '8080:80', command=('sh', '-c', 'sleep 100000000'))
        head, line = self.out('ps', '-a').splitlines()
        self.assertEqual(head.split('   ')[0], 'CONTAINER ID')
        self.assertEqual(head.split()[2:], ['IMAGE', 'COMMAND', 'CREATED', 'STATUS', 'PORTS', 'NAMES'])
        self.assertEqual([word for word in line.split('  ') if word][:3], [ident[:12], ' busybox', ' "sh -c sleep 1000000…"'])
        self.assertIn('   Created   ', line)
        self.assertEqual(self.out('ps', '-aq'), ident[:12] + '\n')
        self.assertEqual(self.out('ps', '-aq', '--no-trunc'), ident + '\n')
        self.assertEqual(self.out('ps', '-q'), '')
        self.assertRegex(self.out('ps', '-a', '--size').splitlines()[1], r'[0-9.]+(k|M)?B$')

    def test_the_newest_come_first(self):
        for name in ('one', 'two', 'three'):
            self.create(name)
        self.assertEqual(self.out('ps', '-l', '--format', '{{.Names}}'), 'three\n')
        self.assertEqual(self.out('ps', '-n', '2', '--format', '{{.Names}}'), 'three\ntwo\n')
        self.assertEqual(self.out('container', 'ls', '-a', '--format', '{{.Names}}'), 'three\ntwo\none\n')

    def test_filters_choose_as_dockers_do(self):
        first = self.create('first', '--label', 'tier=front', '--label', 'kind')
        self.create('second', '--label', 'tier=back', '--network', 'none')
        self.create('third', '--expose', '90')
        cases = [(['name=s'], 'first second'), (['name=^s'], 'second'), (['name=^/third$'], 'third'),
                 (['id=' + first[:8]], 'first'), (['label=tier'], 'first second'), (['label=tier=back'], 'second'),
                 (['label=tier', 'label=kind'], 'first'), (['status=created'], 'first second third'),
                 (['status=running'], ''), (['status=running', 'status=created'], 'first second third'),
                 (['exited=0'], ''), (['health=none'], 'first second third'), (['health=healthy'], ''),
                 (['ancestor=busybox'], 'first second third'), (['ancestor=busybox:latest'], 'first second third'),
                 (['ancestor=other'], ''), (['before=second'], 'first'), (['since=second'], 'third'),
                 (['network=none'], 'second'), (['expose=90'], 'third'), (['expose=80-100/tcp'], 'third'),
                 (['expose=90/udp'], ''), (['publish=90'], '')]
        for filters, expected in cases:
            self.assertEqual(self.names(*filters), expected, filters)

    def test_filters_that_mean_nothing_are_refused(self):
        for text in ('nope=1', 'status=dancing', 'health=fine', 'exited=x', 'name=(', 'expose=x', 'before=nobody', 'volume=v'):
            self.assertNotEqual(self.diatom('ps', '-f', text, code=1).stderr, b'', text)


class Inspects(ContainerVerbsTest):
    def test_inspect_has_dockers_shape(self):
        self.create('web', '-p', '8080:80', '--expose', '90', '--restart', 'on-failure:3', '--cpus', '1.5', '-m', '256m',
                    '--label', 'tier=front', '--stop-timeout', '7', command=('sleep', '9'))
        cases = {'{{.Name}} {{.State.Status}} {{.State.Running}} {{.State.ExitCode}}': '/web created false 0',
                 '{{.Path}} {{.Args}} {{.Config.Cmd}}': 'sleep [9] [sleep 9]',
                 '{{.HostConfig.RestartPolicy.Name}}:{{.HostConfig.RestartPolicy.MaximumRetryCount}}': 'on-failure:3',
                 '{{.HostConfig.NanoCpus}} {{.HostConfig.Memory}}': '1500000000 268435456',
                 '{{json .HostConfig.PortBindings}}': '{"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"8080"}]}',
                 '{{json .Config.ExposedPorts}}': '{"80/tcp":{},"90/tcp":{}}',
                 '{{.Config.StopTimeout}} {{.Config.StopSignal}} {{index .Config.Labels "tier"}}': '7 SIGTERM front',
                 '{{json .NetworkSettings.Ports}} {{.NetworkSettings.IPAddress}}': '{} ',
                 '{{.State.StartedAt}}': '0001-01-01T00:00:00Z'}
        for template, expected in cases.items():
            self.assertEqual(self.out('inspect', '-f', template, 'web'), expected + '\n', template)
        sizes = json.loads(self.out('container', 'inspect', '--size', 'web'))[0]
        self.assertGreater(sizes['SizeRootFs'], sizes['SizeRw'])

    def test_port_names_what_is_not_published(self):
        self.create('web')
        self.assertEqual(self.out('port', 'web'), '')
        self.assertIn('80/tcp', self.diatom('port', 'web', '80', code=1).stderr.decode())

    def test_stats_and_top_of_one_that_does_not_run(self):
        ident = self.create('web')
        self.assertEqual(self.out('stats', '--no-stream', '--format', '{{.ID}} {{.Name}} {{.CPUPerc}} {{.PIDs}}', 'web'),
                         f'{ident[:12]} web -- --\n')
        self.assertEqual(len(self.out('stats', '--no-stream').splitlines()), 1)
        self.assertEqual(len(self.out('stats', '--no-stream', '--all').splitlines()), 2)
        self.assertIn('nobody', self.diatom('stats', '--no-stream', 'nobody', code=1).stderr.decode())
        self.assertIn('not running', self.diatom('top', 'web', code=1).stderr.decode())
        self.assertIn('-ef, aux', self.diatom('top', 'web', '-l', code=1).stderr.decode())


class Removes(ContainerVerbsTest):
    def test_rm_takes_several_and_goes_on_after_an_error(self):
        for name in ('one', 'two'):
            self.create(name)
        result = self.diatom('rm', '-v', 'one', 'nobody', 'two', code=1)
        self.assertEqual(result.stdout, b'one\ntwo\n')
        self.assertIn('nobody', result.stderr.decode())
        self.diatom('rm', '-f', 'nobody')
        self.assertIn('links', self.diatom('rm', '--link', 'one', code=1).stderr.decode())

    def test_prune_asks_a_person_or_refuses(self):
        self.create('one', '--label', 'keep')
        ident = self.create('two')
        for verb in (['container', 'prune'], ['system', 'prune']):
            self.assertIn('--force', self.diatom(*verb, code=1).stderr.decode())
        lines = self.out('container', 'prune', '-f', '--filter', 'label!=keep').splitlines()
        self.assertEqual(lines[:2], ['Deleted Containers:', ident])
        self.assertTrue(lines[-1].startswith('Total reclaimed space: '))
        self.assertEqual(self.names(), 'one')

    def test_system_prune_removes_templates_and_leaves_images_in_use(self):
        ident = self.create('one')
        lines = self.out('system', 'prune', '-f').splitlines()
        self.assertIn(ident, lines)
        self.assertEqual(self.out('system', 'df', '--format', '{{.TotalCount}} {{.Size}}').splitlines()[1], '0 0B')
        self.assertEqual(list((self.home.path / 'home/templates').glob('*.ext4')), [])
        self.assertEqual(len(self.out('images', '-q').split()), 1)
        self.create('two')  # the template is made again
        self.out('system', 'prune', '-a', '-f', '--filter', 'until=1970-01-01')
        self.assertEqual(self.names(), 'two')


class Reports(ContainerVerbsTest):
    def test_info_counts_and_names_the_folders(self):
        self.create('one')
        info = json.loads(self.out('info', '--format', 'json'))
        self.assertEqual((info['Containers'], info['ContainersStopped'], info['Images']), (1, 1, 1))
        self.assertEqual(info['RootDir'], self.home.env['DIATOM_HOME'])
        self.assertGreater(info['NCPU'], 0)
        self.assertIn('Containers: 1\n', self.out('system', 'info'))

    def test_version_as_json(self):
        version = json.loads(self.out('version', '--format', 'json'))
        self.assertEqual(self.out('version').split(), ['diatom', version['Client']['Version']])
        self.assertEqual(self.out('version', '-f', '{{.Client.Version}}').strip(), version['Client']['Version'])

    def test_df_lists_kinds_and_each(self):
        ident = self.create('one')
        self.assertEqual(self.out('system', 'df').splitlines()[0].split(), ['TYPE', 'TOTAL', 'ACTIVE', 'SIZE', 'RECLAIMABLE'])
        self.assertEqual(self.out('system', 'df', '--format', '{{.Type}} {{.TotalCount}} {{.Active}}').splitlines()[:2],
                         ['Images 1 1', 'Containers 1 0'])
        self.assertIn(ident[:12], self.out('system', 'df', '-v'))

    def test_what_is_done_to_containers_is_told(self):
        self.create('old', '--label', 'tier=front')
        self.out('rename', 'old', 'new')
        self.out('update', '--restart', 'always', 'new')
        self.out('rm', 'new')
        events = [json.loads(line) for line in
                  self.out('system', 'events', '--since', '1h', '--until', '0s', '-f', 'label=tier', '--json').splitlines()]
        self.assertEqual([event['Action'] for event in events], ['create', 'rename', 'update', 'destroy'])
        attributes = events[1]['Actor']['Attributes']
        self.assertEqual((attributes['oldName'], attributes['name'], attributes['image']), ('/old', 'new', 'busybox'))


class Spec(ContainerVerbsTest):
    """`create --spec`: docs/format/container.md."""

    def spec(self, document, code: int = 0, options=()):
        text = document if isinstance(document, str) else json.dumps(document)
        return self.diatom('create', *options, '--spec', '-', stdin=text.encode(), code=code)

    def test_a_replica_of_a_service_is_made_from_a_file_and_from_stdin(self):
        document = {'service': 'web', 'replica': 0, 'image': 'busybox', 'args': ['sleep', '9'], 'env': {'A': '1', 'PATH': None},
                    'resources': {'cpu': 1, 'memory': '256Mi', 'gpu': 0}, 'ports': ['8080:80'], 'restart': 'on-failure:3',
                    'health': {'command': ['true'], 'interval': '5s'}, 'working_dir': '/tmp', 'user': '1:2'}
        path = self.home.path / 'web.json'
        path.write_text(json.dumps(document))
        ident = self.out('create', '--spec', path).strip()
        self.spec(document | {'replica': 1})
        [info] = self.home.json('inspect', 'web-0')
        self.assertEqual(info['Id'], ident)
        self.assertEqual(info['Config']['Labels'], {'diatom.service': 'web', 'diatom.replica': '0'})
        self.assertEqual(info['Config']['Cmd'], ['sleep', '9'])
        self.assertEqual(info['Config']['User'], '1:2')
        self.assertNotIn('PATH', ' '.join(info['Config']['Env']))
        self.assertEqual(info['HostConfig']['Memory'], 256 << 20)
        self.assertEqual(info['HostConfig']['RestartPolicy'], {'Name': 'on-failure', 'MaximumRetryCount': 3})
        self.assertEqual(info['HostConfig']['PortBindings'], {'80/tcp': [{'HostIp': '127.0.0.1', 'HostPort': '8080'}]})
        self.assertEqual(self.names('label=diatom.service=web'), 'web-0 web-1')

    def test_what_it_says_by_flags_is_the_same_container(self):
        self.create('flags', '-m', '256Mi', '--cpus', '1', '--label', 'a=b', '--tmpfs', '/run:size=1m', '--cap-drop', 'ALL')
        self.spec({'name': 'document', 'image': 'busybox', 'args': ['true'], 'resources': {'cpu': 1, 'memory': '256Mi'},
                   'labels': {'a': 'b'}, 'tmpfs': ['/run:size=1m'], 'cap_drop': ['ALL']})
        [one], [other] = self.home.json('inspect', 'flags'), self.home.json('inspect', 'document')
        self.assertEqual(one['HostConfig'], other['HostConfig'])
        for info in (one, other):
            for name in ('Hostname', 'Env'):  # with the id
                info['Config'].pop(name)
        self.assertEqual(one['Config'], other['Config'])

    def test_what_cannot_be_honoured_is_named(self):
        cases = [('{', 'line 1'), ('[]', 'no JSON object'), ({'image': 'busybox', 'gpus': 1}, '"gpus"'),
                 ({'image': 'busybox', 'resources': {'gpu': 2}}, 'gpu 2'), ({'image': 'busybox', 'volumes': []}, '"volumes"'),
                 ({'image': 'busybox', 'resources': {'memory': '1 potato'}}, '"1 potato"'),
                 ({'image': 'busybox', 'name': 'n', 'service': 's', 'replica': 0}, 'name: '), ({}, 'image: it is missing')]
        for document, words in cases:
            with self.subTest(document=document):
                self.assertIn(words, self.spec(document, code=1).stderr.decode())
        self.assertEqual(self.names(), '')

    def test_flags_that_the_document_stands_for_do_not_go_with_it(self):
        for options in (['-m', '1g'], ['--name', 'x'], ['--pull', 'never'], ['-e', 'A=1']):
            with self.subTest(options=options):
                self.assertIn('--spec', self.spec({'image': 'busybox'}, options=options, code=1).stderr.decode())
        result = self.diatom('create', '--spec', '-', 'busybox', stdin=b'{"image": "busybox"}', code=1)
        self.assertIn('busybox', result.stderr.decode())
        self.assertEqual(self.names(), '')

    def test_its_pull_policy_counts(self):
        result = self.spec({'image': 'localhost:1/not:here', 'pull_policy': 'never'}, code=1)
        self.assertIn('not in the store', result.stderr.decode())
        result = self.spec({'image': 'localhost:1/not:here'}, code=1)
        self.assertIn('fetch manifest', result.stderr.decode())


if __name__ == '__main__':
    main()
