#include "rootfs/tree.h"

#include <algorithm>
#include <ranges>
#include <string>
#include <vector>

namespace diatom::rootfs {

namespace {

constexpr unsigned most_hops = 40;       // Linux: MAXSYMLINKS
constexpr uint32_t deepest_tree = 2048;  // deeper than any path is long; bounds recursion

std::unexpected<Error> refuse(std::string_view path, std::string_view why) {
  return fail(Errc::invalid_argument, "path \"" + std::string(path) + "\": " + std::string(why));
}

// Splits the first component off, skipping what is empty or ".".
std::string_view take_component(std::string_view& path) {
  for (;;) {
    size_t end = std::min(path.find('/'), path.size());
    std::string_view name = path.substr(0, end);
    path.remove_prefix(std::min(end + 1, path.size()));
    if ((!name.empty() && name != ".") || path.empty()) return name == "." ? std::string_view() : name;
  }
}

}  // namespace

Tree::Tree(ReadEntry read, const ImageLimits& limits) : read_(std::move(read)), most_bytes_(limits.max_tree_bytes) {
  add_directory();  // the root
}

Tree::Id Tree::add_directory() {
  Id id = inodes_.add();
  inodes_[id].directory_or_names = directories_.add();
  return id;
}

// With what writing it will take: the order of the inodes, and lists of a directory's names.
uint64_t Tree::bytes() const {
  return names_.bytes() + uint64_t{inodes_.size()} * (sizeof(Inode) + 12) +
         uint64_t{directories_.size()} * sizeof(Directory);
}

void Tree::forget_name_of(Id id) {
  Inode& inode = inodes_[id];
  if (!inode.is_directory() && inode.directory_or_names > 0) --inode.directory_or_names;
}

void Tree::set(Id in, std::string_view name, Id id, uint32_t layer) {
  Directory& parent = directory(in);
  Names::Id at = names_.find(parent.names, name);
  if (at != 0) {
    if (names_[at].inode != id) last_directory_.reset();
    forget_name_of(names_[at].inode);
  } else {
    at = names_.insert(parent.names, name);
    ++parent.count;
  }
  names_[at].inode = id;
  names_[at].layer = static_cast<uint16_t>(layer);
  if (inodes_[id].is_directory()) {
    directory(id).parent = in;
    directory(id).depth = static_cast<uint16_t>(parent.depth + 1);
  } else {
    ++inodes_[id].directory_or_names;
  }
}

// Walks from a directory along `path`; all of it must be directories or symbolic links to them. False: something is
// missing.
Result<bool> Tree::step_into(Id& at, std::string_view path, uint32_t layer, bool make_missing, unsigned& hops) {
  if (path.starts_with('/')) at = root;
  std::string_view rest = path;
  while (!rest.empty()) {
    std::string_view name = take_component(rest);
    if (name.empty()) break;
    if (name == "..") {  // only a symbolic link's target has one; it stops at the root
      at = directory(at).parent;
      continue;
    }
    Names::Id found = find(at, name);
    Id next = found != 0 ? names_[found].inode : 0;
    if (found == 0) {
      if (!make_missing) return false;
      if (directory(at).depth >= deepest_tree) return refuse(path, "too deep");
      next = add_directory();
      set(at, name, next, layer);
    } else if (inodes_[next].entry_kind() == EntryKind::symlink) {
      if (++hops > most_hops) return refuse(path, "too many symbolic links");
      std::string target(TRY(read_(inodes_[next].place())).target);
      next = at;
      if (!TRY(step_into(next, target, layer, make_missing, hops))) return false;
    }
    if (!inodes_[next].is_directory()) {
      if (!make_missing) return false;
      return refuse(path, "\"" + std::string(name) + "\" is not a directory");
    }
    at = next;
  }
  return true;
}

Result<Tree::Way> Tree::find_way(std::string_view path, uint32_t layer, bool make_missing) {
  size_t slash = path.rfind('/');
  std::string_view parents = slash == std::string_view::npos ? "" : path.substr(0, slash);
  std::string_view name = slash == std::string_view::npos ? path : path.substr(slash + 1);
  if (last_directory_ && parents == last_path_) return Way{*last_directory_, name, true};
  unsigned hops = 0;
  Id directory = root;
  bool found = TRY(step_into(directory, parents, layer, make_missing, hops));
  if (found) {
    last_path_ = parents;
    last_directory_ = directory;
  }
  return Way{directory, name, found};
}

bool Tree::keeps(const Names::Name& name, uint32_t layer) {
  const Inode& inode = inodes_[name.inode];
  return name.layer == layer || (inode.is_directory() && directory(inode).count > 0);
}

// Takes away what the layers below had in a directory. What this layer has said itself stays, with the directories
// that lead to it. Said twice, it is not done twice: a hostile layer says it a million times.
void Tree::remove_lower(Id top, uint32_t layer) {
  auto since = static_cast<uint16_t>(layer + 1);
  last_directory_.reset();
  std::vector<Id> all;  // each before those in it
  auto begin = [&](Id id) {
    if (directory(id).opaque_since == since) return;
    directory(id).opaque_since = since;
    all.push_back(id);
  };
  begin(top);
  for (size_t i = 0; i < all.size(); ++i)
    names_.for_each(directory(all[i]).names, [&](Names::Id name) {
      if (inodes_[names_[name].inode].is_directory()) begin(names_[name].inode);
    });
  for (Id id : std::views::reverse(all)) {
    Directory& in = directory(id);
    names_.filter(in.names, [&](const Names::Name& name) {
      if (keeps(name, layer)) return true;
      forget_name_of(name.inode);
      --in.count;
      return false;
    });
  }
}

Result<> Tree::apply_hard_link(const Entry& entry, uint32_t layer) {
  Way from = TRY(find_way(entry.target, layer, false));
  Names::Id found = from.found && !from.name.empty() ? find(from.directory, from.name) : 0;
  if (found == 0) return refuse(entry.path, "a hard link to \"" + std::string(entry.target) + "\", which is not there");
  Id inode = names_[found].inode;
  if (inodes_[inode].is_directory())
    return refuse(entry.path, "a hard link to the directory \"" + std::string(entry.target) + "\"");
  Way to = TRY(find_way(entry.path, layer, true));
  if (to.name.empty()) return refuse("/", "the root cannot be a hard link");
  set(to.directory, to.name, inode, layer);
  return {};
}

Result<> Tree::apply_opaque(const Entry& entry, uint32_t layer) {
  unsigned hops = 0;
  Id directory = root;
  if (TRY(step_into(directory, entry.path, layer, false, hops))) remove_lower(directory, layer);
  return {};
}

Result<> Tree::apply_whiteout(const Entry& entry, uint32_t layer) {
  Way way = TRY(find_way(entry.path, layer, false));
  Names::Id found = way.found ? find(way.directory, way.name) : 0;
  if (found == 0) return {};  // nothing to hide
  Id hidden = names_[found].inode;
  if (inodes_[hidden].is_directory()) remove_lower(hidden, layer);
  if (keeps(names_[found], layer)) return {};
  last_directory_.reset();
  forget_name_of(hidden);
  names_.erase(directory(way.directory).names, way.name);
  --directory(way.directory).count;
  return {};
}

// A directory that says more of one that is there, a file in the place of one that nothing else leads to: the same
// inode; else a new one.
Tree::Id Tree::inode_for(const Entry& entry, Id existing) {
  bool is_directory = entry.kind == EntryKind::directory;
  if (existing != root && inodes_[existing].is_directory() == is_directory &&
      (is_directory || inodes_[existing].directory_or_names == 1)) {
    if (inodes_[existing].entry_kind() == EntryKind::symlink) last_directory_.reset();
    return existing;
  }
  return is_directory ? add_directory() : inodes_.add();
}

Result<> Tree::apply(const Entry& entry, EntryPlace place) {
  if (bytes() > most_bytes_)
    return fail(Errc::invalid_argument,
                "the image has more files than it may: their names alone take " + std::to_string(most_bytes_) +
                    " bytes of memory",
                "raise DIATOM_MAX_TREE_SIZE if you trust it");
  if (entry.kind == EntryKind::hard_link) return apply_hard_link(entry, place.layer);
  if (entry.kind == EntryKind::opaque) return apply_opaque(entry, place.layer);
  if (entry.kind == EntryKind::whiteout) return apply_whiteout(entry, place.layer);
  Way way = TRY(find_way(entry.path, place.layer, true));
  Id id = root;
  if (way.name.empty()) {
    if (entry.kind != EntryKind::directory) return refuse("/", "the root can only be a directory");
  } else {
    if (directory(way.directory).depth >= deepest_tree) return refuse(entry.path, "too deep");
    Names::Id found = find(way.directory, way.name);
    id = inode_for(entry, found != 0 ? names_[found].inode : root);
    inodes_[id].kind = static_cast<uint64_t>(entry.kind) & 15;
    set(way.directory, way.name, id, place.layer);
  }
  inodes_[id].offset = place.offset & ((1ULL << 40) - 1);
  inodes_[id].layer = static_cast<uint16_t>(place.layer);
  inodes_[id].bare = entry.target.empty() && entry.xattrs.empty();
  return {};
}

}  // namespace diatom::rootfs
