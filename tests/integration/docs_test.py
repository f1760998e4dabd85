#!/usr/bin/env python3
"""What the documents name exists: a page about code that has gone is worse than none."""
import pathlib
import re
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from diatom import ROOT, main  # noqa: E402

CODE_FOLDERS = ('src', 'include', 'agent', 'tests', 'tools', 'cmake', 'bench', 'fuzz')
CODE_FILES = ('CMakeLists.txt', 'CMakePresets.json', 'Makefile')


def tracked(pattern: str) -> list[pathlib.Path]:
    """Not what builds and caches hold. In a tree without git, everything that is not hidden."""
    listed = subprocess.run(['git', 'ls-files', '--cached', '--others', '--exclude-standard', '-z', pattern], cwd=ROOT,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60)
    if listed.returncode == 0:
        names = listed.stdout.decode().split('\0')
    else:
        names = [str(path.relative_to(ROOT)) for path in ROOT.rglob(pattern)]
        names = [name for name in names if not re.match(r'(build[^/]*|\.[^/]*)/', name)]
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def prose(page: pathlib.Path) -> str:
    """Without blocks of code: those are commands and pictures."""
    return re.sub(r'^```.*?^```', '', page.read_text(), flags=re.MULTILINE | re.DOTALL)


def words_of_the_sources() -> set[str]:
    words = set()
    for folder in CODE_FOLDERS:
        for path in (ROOT / folder).rglob('*'):
            # This file must not be what a name is found in.
            if path.suffix in ('.h', '.cc', '.py', '.sh', '.txt', '.cmake') and path.name != 'docs_test.py':
                words.update(re.findall(r'\w+', path.read_text(errors='replace')))
    for name in CODE_FILES:
        words.update(re.findall(r'\w+', (ROOT / name).read_text()))
    return words


def exists(path: str) -> bool:
    return any((ROOT / base / path).exists() for base in ('', 'src', 'include'))


class Names(unittest.TestCase):
    def test_every_name_in_code_of_the_architecture_exists(self):
        words = words_of_the_sources()
        for span in re.findall(r'`([^`]+)`', prose(ROOT / 'docs/architecture.md')):
            with self.subTest(span):
                if re.fullmatch(r'[\w.-]+(/[\w.-]*)+', span) or re.fullmatch(r'\w+\.(h|cc|py|txt)', span):
                    self.assertTrue(exists(span), 'there is no such file')
                    continue
                for word in re.findall(r'\w{2,}', span):
                    self.assertIn(word, words)

    def test_every_function_and_type_in_code_of_the_other_pages_exists(self):
        words = words_of_the_sources()
        name = r'[A-Za-z]\w*(?:::\w+)*(?:\(\))?'
        for page in tracked('*.md'):
            for span in re.findall(r'`([^`\n]+)`', prose(page)):
                # What looks like a name of ours: CamelCase, snake_case, or with a scope.
                if not re.fullmatch(name, span) or not re.search(r'[a-z][A-Z]|[a-z]_[a-z]|::', span):
                    continue
                for word in re.findall(r'\w{2,}', span):
                    with self.subTest(page=page.name, span=span):
                        self.assertIn(word, words)

    def test_every_file_that_a_source_refers_to_exists(self):
        for pattern in ('*.h', '*.cc', '*.py'):
            for path in tracked(pattern):
                for name in re.findall(r'\bdocs/[\w/.-]+\.md', path.read_text(errors='replace')):
                    with self.subTest(source=str(path.relative_to(ROOT)), page=name):
                        self.assertTrue((ROOT / name).exists())


class Links(unittest.TestCase):
    def test_every_relative_link_resolves(self):
        for page in tracked('*.md'):
            for target in re.findall(r'\]\(([^)\s]+)\)', prose(page)):
                if re.match(r'[a-z]+:', target):
                    continue
                file, _, anchor = target.partition('#')
                with self.subTest(page=str(page.relative_to(ROOT)), link=target):
                    there = (page.parent / file).resolve() if file else page
                    self.assertTrue(there.exists(), 'there is no such file')
                    if anchor:
                        self.assertIn(anchor, anchors(there))


def anchors(page: pathlib.Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r'^#+ (.+)$', page.read_text(), flags=re.MULTILINE)
    return {re.sub(r'[^\w -]', '', heading.lower()).strip().replace(' ', '-') for heading in headings}


if __name__ == '__main__':
    main()
