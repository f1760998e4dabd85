// Compressed layers: the result does not depend on the pieces in which the blob arrives or is read, and no blob makes
// the reader give more than was asked for.
#include "rootfs/inflate.h"

#include <optional>
#include <vector>

#include "byte_source.h"
#include "fuzz.h"

namespace {

constexpr size_t most_output = 1 << 20;

// Empty for damage. Ends early at the bound, where both ways of reading have the same.
std::optional<std::string> read_all(std::string_view blob, size_t piece, size_t block_bytes) {
  diatom::fuzz::MemorySource source(blob, piece);
  diatom::rootfs::Blocks blocks(source);
  auto inflated = diatom::rootfs::inflate(blocks);
  if (!inflated) return std::nullopt;
  std::string out;
  std::vector<std::byte> block(block_bytes);
  while (out.size() < most_output) {
    auto got = (*inflated)->read(std::span(block).first(std::min(block_bytes, most_output - out.size())));
    if (!got) {
      diatom::fuzz::require_refusal(got.error());
      return std::nullopt;
    }
    if (*got == 0) break;
    REQUIRE(*got <= block.size());
    out.append(reinterpret_cast<const char*>(block.data()), *got);
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view blob = diatom::fuzz::as_text(data, size);
  auto whole = read_all(blob, SIZE_MAX, 64 << 10);
  auto pieces = read_all(blob, 7, 977);
  // Damage right behind the bound is seen by the one way of reading, and not by the other.
  auto ended_at_bound = [](const auto& result) { return result && result->size() == most_output; };
  REQUIRE(whole == pieces || (!whole && ended_at_bound(pieces)) || (!pieces && ended_at_bound(whole)));
  return 0;
}
