// The index of a layer, behind its magic and its checksum, which are put right here: what decodes is what its entries
// encode to, and an image of it is a whole file system.
#include "rootfs/layer_index.h"

#include "base/hash.h"
#include "erofs_check.h"

using namespace diatom;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string bytes("DIATLYR2");
  bytes += fuzz::as_text(data, size);
  Sha256 hash;
  hash.update(std::as_bytes(std::span(bytes)));
  auto sum = hash.finish();
  bytes.append(reinterpret_cast<const char*>(sum.data()), sum.size());

  auto index = rootfs::decode_index(bytes);
  if (!index) {
    fuzz::require_refusal(index.error(), Errc::internal);
    return 0;
  }
  std::string encoded = rootfs::encode_index_header(index->header);
  for (const rootfs::Entry& entry : index->entries) rootfs::encode_entry(entry, encoded);
  REQUIRE(bytes.starts_with(encoded) && encoded.size() + sum.size() == bytes.size());

  UniqueFd index_fd = fuzz::memory_file();
  REQUIRE(write_all(index_fd.get(), bytes));
  for (size_t times : {1U, 2U}) fuzz::check_image(index_fd.get(), times, index->header.data_bytes);
  return 0;
}
