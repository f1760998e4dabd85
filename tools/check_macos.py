#!/usr/bin/env python3
"""Compiles what macOS would run for aarch64-macos, on any host, and looks whether every symbol is defined somewhere.

  check_macos.py [JOBS]

Needs .cache/ziglang (tools/fetch_zig.sh). Builds in build-macos, where a second run compiles what has changed. Nothing is
linked and nothing is run: docs/platforms.md.
"""
import os
import pathlib
import re
import struct
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = ROOT / 'build-macos'
ZIG = ROOT / '.cache/ziglang/ziglang'
SKIPPED = 77  # as CTest is told

# Of libraries that are not ours: C by its prefixes, C++ by its namespaces.
OTHERS = re.compile(r'_(sqlite3|nghttp2|archive|curl|ZSTD|isal|slirp|SHA256)_'
                    r'|__Z(T[CISTV]|GV)?N?K?(St|3fmt)'  # std::, fmt:: and what the compiler makes for them
                    r'|__Z[nd][wal]'  # operator new and delete
                    r'|__ZT([IS]|VN10__cxxabi)'  # of types that libc++abi has: int, char*, …
                    r'|___cxa_|___gxx_|__Unwind_|___dso_handle$')

MACHO_64 = 0xfeedfacf
LC_SYMTAB = 2
SYMBOL = struct.Struct('<IBBHQ')
N_STAB, N_TYPE, N_EXT = 0xe0, 0x0e, 0x01


def symbols(path: pathlib.Path) -> tuple[set[str], set[str]]:
    """The names that an object defines for others, and those that it wants of others."""
    data = path.read_bytes()
    magic, _, _, _, commands = struct.unpack_from('<5I', data)
    if magic != MACHO_64:
        sys.exit(f'check_macos: {path} is no Mach-O object')
    defined, wanted = set(), set()
    at = 32
    for _ in range(commands):
        command, size = struct.unpack_from('<2I', data, at)
        if command == LC_SYMTAB:
            table, count, strings, _ = struct.unpack_from('<4I', data, at + 8)
            for name, kind, _, _, value in SYMBOL.iter_unpack(data[table:table + count * SYMBOL.size]):
                if kind & N_STAB or not kind & N_EXT:
                    continue
                text = data[strings + name:data.index(0, strings + name)].decode()
                # An undefined one with a value is a common block.
                (defined if kind & N_TYPE or value else wanted).add(text)
        at += size
    return defined, wanted


def system_symbols() -> set[str]:
    """What libSystem has, which every program of macOS is linked to."""
    return set(re.findall(r'[\w$]+', (ZIG / 'lib/libc/darwin/libSystem.tbd').read_text()))


def run(*command: str) -> str:
    result = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if result.returncode != 0:
        sys.exit(f'{result.stdout}check_macos: {" ".join(command)} failed')
    return result.stdout


def main() -> int:
    jobs = sys.argv[1] if len(sys.argv) > 1 else str(os.cpu_count())
    if not (ZIG / 'zig').exists():
        print('check_macos: skipped: no .cache/ziglang; tools/fetch_zig.sh .cache/ziglang brings it from PyPI')
        return 1 if os.environ.get('DIATOM_REQUIRE') else SKIPPED
    begin = time.monotonic()
    run('cmake', '--preset', 'macos')
    run('ninja', '-C', str(BUILD), '-j', jobs, '-k', '0')
    targets = run('ninja', '-C', str(BUILD), '-t', 'targets', 'all').splitlines()
    objects = [line.partition(':')[0] for line in targets if line.partition(':')[0].endswith('.cc.o')]

    defined, wanted = set(), {}
    for name in objects:
        has, wants = symbols(BUILD / name)
        defined |= has
        for symbol in wants:
            wanted.setdefault(symbol, name)
    system = system_symbols()
    missing = [f'{symbol}, which {name} uses, is defined nowhere' for symbol, name in sorted(wanted.items())
               if symbol not in defined and symbol not in system and not OTHERS.match(symbol)]
    print('\n'.join(missing), end='\n' if missing else '')
    print(f'check_macos: {len(objects)} objects for aarch64-macos in {time.monotonic() - begin:.0f} s, '
          f'{len(missing)} symbols missing')
    return 1 if missing else 0


if __name__ == '__main__':
    sys.exit(main())
