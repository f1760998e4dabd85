#include "rootfs/tree.h"

#include <algorithm>
#include <string>

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

Inode* child_of(const Inode& directory, std::string_view name) {
  auto found = directory.children->find(name);
  return found == directory.children->end() ? nullptr : found->second.inode;
}

void copy_metadata(const Entry& entry, Inode& inode) {
  inode.mode = entry.mode;
  inode.uid = entry.uid;
  inode.gid = entry.gid;
  inode.mtime_s = entry.mtime_s;
  inode.mtime_ns = entry.mtime_ns;
  inode.xattrs = entry.xattrs;
}

}  // namespace

Tree::Tree() : root_(&add_inode()) {
  root_->children = std::make_unique<Directory>();
  root_->parent = root_;
}

Inode& Tree::add_inode() { return inodes_.emplace_back(); }

Inode& Tree::add_directory(Inode& parent, std::string_view name, uint32_t layer) {
  Inode& inode = add_inode();
  inode.children = std::make_unique<Directory>();
  set({&parent, name}, inode, layer);
  return inode;
}

void Tree::set(const Place& place, Inode& inode, uint32_t layer) {
  (*place.directory->children)[place.name] = {&inode, layer};
  if (inode.children != nullptr) {
    inode.parent = place.directory;
    inode.depth = place.directory->depth + 1;
  }
}

// Walks from a directory along `path`; all of it must be directories or symbolic links to them.
Result<Inode*> Tree::step_into(Inode& from, std::string_view path, uint32_t layer, bool make_missing, unsigned& hops) {
  Inode* at = path.starts_with('/') ? root_ : &from;
  std::string_view rest = path;
  while (!rest.empty()) {
    std::string_view name = take_component(rest);
    if (name.empty()) break;
    if (name == "..") {  // only a symbolic link's target has one; it stops at the root
      at = at->parent;
      continue;
    }
    Inode* next = child_of(*at, name);
    if (next == nullptr) {
      if (!make_missing) return nullptr;
      if (at->depth >= deepest_tree) return refuse(path, "too deep");
      next = &add_directory(*at, name, layer);
    } else if (next->kind == EntryKind::symlink) {
      if (++hops > most_hops) return refuse(path, "too many symbolic links");
      next = TRY(step_into(*at, next->target, layer, make_missing, hops));
      if (next == nullptr) return nullptr;
    }
    if (next->children == nullptr) {
      if (!make_missing) return nullptr;
      return refuse(path, "\"" + std::string(name) + "\" is not a directory");
    }
    at = next;
  }
  return at;
}

Result<Tree::Place> Tree::find_place(std::string_view path, uint32_t layer, bool make_missing) {
  size_t slash = path.rfind('/');
  std::string_view parents = slash == std::string_view::npos ? "" : path.substr(0, slash);
  unsigned hops = 0;
  Inode* directory = TRY(step_into(*root_, parents, layer, make_missing, hops));
  return Place{directory, slash == std::string_view::npos ? path : path.substr(slash + 1)};
}

// Takes away what the layers below had in a directory. What this layer has said itself stays, with the directories
// that lead to it.
void Tree::remove_lower(Inode& directory, uint32_t layer) {
  for (auto it = directory.children->begin(); it != directory.children->end();) {
    const Name& name = it->second;
    if (name.inode->children != nullptr) remove_lower(*name.inode, layer);
    bool keep = name.layer == layer || (name.inode->children != nullptr && !name.inode->children->empty());
    it = keep ? std::next(it) : directory.children->erase(it);
  }
}

Result<> Tree::apply_hard_link(const Entry& entry, uint32_t layer) {
  Place from = TRY(find_place(entry.target, layer, false));
  Inode* inode = from.directory != nullptr && !from.name.empty() ? child_of(*from.directory, from.name) : nullptr;
  if (inode == nullptr)
    return refuse(entry.path, "a hard link to \"" + std::string(entry.target) + "\", which is not there");
  if (inode->children != nullptr)
    return refuse(entry.path, "a hard link to the directory \"" + std::string(entry.target) + "\"");
  Place to = TRY(find_place(entry.path, layer, true));
  if (to.name.empty()) return refuse("/", "the root cannot be a hard link");
  set(to, *inode, layer);
  return {};
}

Result<> Tree::apply(const Entry& entry, uint32_t layer) {
  if (entry.kind == EntryKind::hard_link) return apply_hard_link(entry, layer);
  if (entry.kind == EntryKind::opaque) {
    unsigned hops = 0;
    Inode* directory = TRY(step_into(*root_, entry.path, layer, false, hops));
    // Said twice, it is not done twice: a hostile layer says it a million times.
    if (directory != nullptr && directory->opaque_since != layer + 1) remove_lower(*directory, layer);
    if (directory != nullptr) directory->opaque_since = layer + 1;
    return {};
  }
  Place place = TRY(find_place(entry.path, layer, entry.kind != EntryKind::whiteout));
  if (entry.kind == EntryKind::whiteout) {
    auto found = place.directory != nullptr ? place.directory->children->find(place.name) : Directory::iterator();
    if (place.directory == nullptr || found == place.directory->children->end()) return {};  // nothing to hide
    const Name& name = found->second;
    if (name.inode->children != nullptr) remove_lower(*name.inode, layer);
    bool has_own = name.inode->children != nullptr && !name.inode->children->empty();
    if (name.layer != layer && !has_own) place.directory->children->erase(found);
    return {};
  }
  if (place.name.empty()) {
    if (entry.kind != EntryKind::directory) return refuse("/", "the root can only be a directory");
    copy_metadata(entry, *root_);
    return {};
  }
  if (place.directory->depth >= deepest_tree) return refuse(entry.path, "too deep");
  Inode* existing = child_of(*place.directory, place.name);
  bool merge = entry.kind == EntryKind::directory && existing != nullptr && existing->children != nullptr;
  Inode& inode = merge ? *existing : add_inode();
  if (!merge && entry.kind == EntryKind::directory) inode.children = std::make_unique<Directory>();
  inode.kind = entry.kind;
  copy_metadata(entry, inode);
  inode.rdev_major = entry.rdev_major;
  inode.rdev_minor = entry.rdev_minor;
  inode.size = entry.kind == EntryKind::regular ? entry.size : 0;
  inode.data_layer = layer;
  inode.first_block = entry.first_block;
  inode.target = entry.target;
  if (merge)
    (*place.directory->children)[place.name].layer = layer;
  else
    set(place, inode, layer);
  return {};
}

}  // namespace diatom::rootfs
