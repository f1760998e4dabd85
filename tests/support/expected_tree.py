"""What image-spec layer.md makes of layers, computed the plain way: the model that the EROFS image is compared with.

Whiteouts act on the layers below only, wherever in the tar they stand: they come first. A directory over a directory keeps
what is in it and takes the new attributes; anything else replaces what was there. Where the specification is silent,
docs/format/layer.md says what we do: a directory that no layer names is 0755 of root and from 1970; symbolic links in the
path of an entry are followed inside the root."""
import dataclasses
import os

from file_tree import content_digest
from tar_layer import Content, Layer


@dataclasses.dataclass
class Node:
    kind: str = 'dir'
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0
    content: Content | None = None
    target: bytes = b''
    rdev: tuple[int, int] = (0, 0)
    xattrs: dict = dataclasses.field(default_factory=dict)
    children: dict | None = None
    implicit: bool = False  # no layer has an entry for it


def components(path: bytes) -> list[bytes]:
    return [name for name in path.split(b'/') if name not in (b'', b'.')]


class Model:
    def __init__(self):
        self.root = Node(children={}, implicit=True)

    def apply(self, layer: Layer):
        for entry in layer.entries:
            if entry.kind == 'opaque':
                directory = self._walk(components(entry.path), make=False)
                if directory is not None:
                    directory.children.clear()
            elif entry.kind == 'whiteout':
                *parents, name = components(entry.path)
                directory = self._walk(parents, make=False)
                if directory is not None:
                    directory.children.pop(name, None)
        for entry in layer.entries:
            if entry.kind not in ('opaque', 'whiteout'):
                self._put(entry)

    def _put(self, entry):
        names = components(entry.path)
        if entry.kind == 'hard link':
            *parents, name = components(entry.target)
            node = self._walk(parents, make=False).children[name]
        else:
            node = Node(entry.kind, entry.mode, entry.uid, entry.gid, entry.mtime_ns, entry.content, entry.target, entry.rdev,
                        entry.xattrs, {} if entry.kind == 'dir' else None)
        if not names:
            node.children = self.root.children
            self.root = node
            return
        directory = self._walk(names[:-1], make=True)
        there = directory.children.get(names[-1])
        if entry.kind == 'dir' and there is not None and there.kind == 'dir':
            node.children = there.children
        directory.children[names[-1]] = node

    def _walk(self, names, make, hops=40):
        """The directory at the end of a path, symbolic links followed; none is made unless `make`."""
        trail = [self.root]
        waiting = list(reversed(names))
        while waiting:
            name = waiting.pop()
            if name == b'..':
                trail = trail[:-1] or trail
                continue
            node = trail[-1].children.get(name)
            if node is None:
                if not make:
                    return None
                node = trail[-1].children[name] = Node(children={}, implicit=True)
            if node.kind == 'symlink':
                hops -= 1
                assert hops > 0, 'a loop of links'
                if node.target.startswith(b'/'):
                    trail = [self.root]
                waiting += reversed(components(node.target))
            elif node.kind == 'dir':
                trail.append(node)
            else:
                return None
        return trail[-1]

    def tree(self) -> tuple[dict[bytes, dict], set[bytes]]:
        """As file_tree.read_tree() has it, and the paths of directories that no layer names."""
        tree, names, implicit = {}, {}, set()
        waiting = [(b'', self.root)]
        while waiting:
            path, node = waiting.pop()
            names.setdefault(id(node), []).append(path)
            tree[path] = node
            if node.implicit:
                implicit.add(path)
            waiting += [(os.path.join(path, name), child) for name, child in (node.children or {}).items()]
        return {path: self._record(node, names[id(node)]) for path, node in tree.items()}, implicit

    @staticmethod
    def _record(node, names):
        record = {'kind': node.kind, 'mode': node.mode, 'uid': node.uid, 'gid': node.gid, 'mtime_ns': node.mtime_ns,
                  'nlink': len(names), 'xattrs': dict(node.xattrs)}
        if node.kind == 'dir':
            record['nlink'] = 2 + sum(child.kind == 'dir' for child in node.children.values())
            return record
        record['same'] = min(names)
        if node.kind == 'file':
            record |= {'size': node.content.size, 'content': content_digest(node.content.size, node.content.read)}
        elif node.kind == 'symlink':
            record |= {'size': len(node.target), 'target': node.target}
        elif node.kind in ('char', 'block'):
            record['rdev'] = node.rdev
        return record


def expected_tree(layers: list[Layer]) -> tuple[dict[bytes, dict], set[bytes]]:
    model = Model()
    for layer in layers:
        model.apply(layer)
    return model.tree()
