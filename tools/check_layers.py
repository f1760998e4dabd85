#!/usr/bin/env python3
"""Fails when a folder of src/ includes a folder that its diatom_library() line does not name.

The rows are read from src/CMakeLists.txt, so the build and this check cannot disagree. The agent is static and
runs in the guest: it may include base/, channel/ and tar/ only. Public headers (include/diatom/) may include each other.
"""
import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s+"([a-z_]+)/', re.MULTILINE)
LIBRARY = re.compile(r'diatom_library\((\w+)([^)]*)\)')


def allowed_folders(cmake: str) -> dict[str, set[str]]:
    rows = {}
    for name, rest in LIBRARY.findall(cmake):
        depends = re.search(r'DEPENDS\s+([\w\s]*?)(?=\s+[A-Z]{3,}|$)', rest)
        rows[name] = {name} | set(depends.group(1).split() if depends else [])
    return rows


def violations(root: pathlib.Path):
    rows = allowed_folders((root / 'src/CMakeLists.txt').read_text())
    rows['agent'] = {'agent', 'base', 'channel', 'tar'}
    rows['include'] = set()
    known = set(rows) | {p.name for p in (root / 'src').iterdir() if p.is_dir()}
    for folder, allowed in sorted(rows.items()):
        base = root / folder if folder in ('agent', 'include') else root / 'src' / folder
        for path in sorted(base.rglob('*')):
            if path.suffix not in ('.h', '.cc'):
                continue
            for target in INCLUDE.findall(path.read_text()):
                if target in known and target not in allowed:
                    yield f'{path.relative_to(root)}: includes {target}/, but {folder}/ may include only ' \
                          f'{", ".join(sorted(allowed - {folder})) or "nothing"}'


def main() -> int:
    found = list(violations(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else '.')))
    print('\n'.join(found), end='\n' if found else '')
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
