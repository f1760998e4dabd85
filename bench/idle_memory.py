"""What the processes of a container (VMM and monitor) keep in memory, and who else has it, by /proc/PID/smaps.

Not shared: pages that no other process maps. Shared: pages of programs and libraries, and those of the template's
memory that a VM has not written to. What the kernel keeps for a process, as its page tables, is in neither.
"""
import collections
import pathlib
import re

from beside_podman import Home

HEADER = re.compile(r'[0-9a-f]+-[0-9a-f]+ (\S{4}) \S+ \S+ \d+ *(.*)')
KIB_OF_MIB = 1024


def kind_of(permissions: str, path: str) -> str:
    if re.search(r'/(templates/[^/]+|saved|\.new-\w+)/memory\b', path):
        return "guest's memory"
    if not path and 'x' in permissions:
        return 'translated code'
    return 'programs and libraries' if path.startswith('/') else 'heap and stacks'


def memory_of(pid: int) -> collections.Counter:
    """(what is kept, who has it) to MiB."""
    kept: collections.Counter = collections.Counter()
    kind = ''
    for line in pathlib.Path(f'/proc/{pid}/smaps').read_text().splitlines():
        if header := HEADER.fullmatch(line):
            kind = kind_of(*header.groups())
            continue
        field, _, value = line.partition(':')
        if whose := re.fullmatch(r'(Private|Shared)_(Clean|Dirty)|Pss', field):
            kept[kind, whose[1] or 'Pss'] += int(value.split()[0]) / KIB_OF_MIB
    return kept


def vmm_and_monitor(home: Home, name: str) -> tuple[int, int]:
    vmm = home.json('inspect', name)[0]['State']['Pid']
    return vmm, int(pathlib.Path(f'/proc/{vmm}/stat').read_text().rpartition(')')[2].split()[1])


def report_idle(home: Home, names: list[str], bar_mib: float):
    """Of these containers, each."""
    total: collections.Counter = collections.Counter()
    for name in names:
        vmm, monitor = vmm_and_monitor(home, name)
        total.update(memory_of(vmm))
        for (_, whose), mib in memory_of(monitor).items():
            total['the monitor', whose] += mib
    each = {what: mib / len(names) for what, mib in total.items()}
    sums = {whose: sum(mib for (_, other), mib in each.items() if other == whose)
            for whose in ('Private', 'Shared', 'Pss')}
    print(f'idle, {len(names)} containers, MiB each: not shared {sums["Private"]:.1f} (bar {bar_mib:g}), '
          f'shared {sums["Shared"]:.1f}, PSS {sums["Pss"]:.1f}')
    for whose, title in (('Private', 'not shared'), ('Shared', 'shared')):
        kinds = sorted(((mib, kind) for (kind, other), mib in each.items() if other == whose), reverse=True)
        print(f'  {title}: ' + ', '.join(f'{kind} {mib:.1f}' for mib, kind in kinds), flush=True)
