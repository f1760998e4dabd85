// Each set is a treap: a search tree by name that is a heap by priority, which is drawn by lot. So it is about as deep
// as a balanced one whatever order the names come in: a few dozen levels for a million names, and functions may
// recurse.
#include "rootfs/names.h"

#include <cstring>
#include <random>

namespace diatom::rootfs {

namespace {
constexpr unsigned text_bits = 16;
constexpr size_t text_bytes = size_t{1} << text_bits;
}  // namespace

Names::Names() : text_used_(text_bytes) {
  std::random_device random;
  seed_ = uint64_t{random()} << 32 | random();
  names_.add();  // 0 is none
}

// Not to be foreseen by whoever chooses the names: the seed is another in each process. What is written does not depend
// on it. (The finaliser of SplitMix64.)
uint32_t Names::priority(Id id) const {
  uint64_t x = seed_ + id * 0x9e3779b97f4a7c15;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return static_cast<uint32_t>((x ^ x >> 31) >> 32);
}

std::string_view Names::text(Id id) const {
  const Name& name = names_[id];
  return {&text_[name.text >> text_bits][name.text & (text_bytes - 1)], name.length};
}

// A name does not cross from one part into the next.
uint32_t Names::add_text(std::string_view name) {
  if (text_bytes - text_used_ < name.size()) {
    text_.push_back(std::make_unique_for_overwrite<char[]>(text_bytes));
    text_used_ = 0;
  }
  size_t at = (text_.size() - 1) << text_bits | text_used_;
  std::memcpy(&text_.back()[text_used_], name.data(), name.size());
  text_used_ += name.size();
  return static_cast<uint32_t>(at);
}

Names::Id Names::find(Id set, std::string_view name) const {
  while (set != 0) {
    int order = name.compare(text(set));
    if (order == 0) break;
    set = order < 0 ? names_[set].left : names_[set].right;
  }
  return set;
}

Names::Id Names::insert(Id& set, std::string_view name) {
  Id fresh = names_.add();
  names_[fresh].length = static_cast<uint8_t>(name.size());
  names_[fresh].text = add_text(name);
  Id* at = &set;
  while (*at != 0 && priority(*at) >= priority(fresh)) at = name < text(*at) ? &names_[*at].left : &names_[*at].right;
  // What is below is split in two: what comes before the name, and what after.
  Id rest = *at;
  *at = fresh;
  Id* before = &names_[fresh].left;
  Id* after = &names_[fresh].right;
  while (rest != 0) {
    bool is_before = text(rest) < name;
    Id*& side = is_before ? before : after;
    *side = rest;
    side = is_before ? &names_[rest].right : &names_[rest].left;
    rest = *side;
  }
  *before = 0;
  *after = 0;
  return fresh;
}

// All of `left` comes before all of `right`.
Names::Id Names::join(Id left, Id right) {
  Id joined = 0;
  Id* at = &joined;
  while (left != 0 && right != 0) {
    bool from_left = priority(left) >= priority(right);
    Id& side = from_left ? left : right;
    *at = side;
    at = from_left ? &names_[side].right : &names_[side].left;
    side = *at;
  }
  *at = left != 0 ? left : right;
  return joined;
}

void Names::erase(Id& set, std::string_view name) {
  Id* at = &set;
  while (*at != 0) {
    int order = name.compare(text(*at));
    if (order == 0) {
      *at = join(names_[*at].left, names_[*at].right);
      return;
    }
    at = order < 0 ? &names_[*at].left : &names_[*at].right;
  }
}

uint64_t Names::bytes() const { return uint64_t{names_.size()} * sizeof(Name) + text_.size() * text_bytes; }

}  // namespace diatom::rootfs
