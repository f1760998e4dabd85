// The documents of an image: any text is a value within bounds or an error, and a manifest that we print is one that we
// read.
#include "fuzz.h"
#include "oci/manifest.h"

using namespace diatom::oci;

namespace {

constexpr size_t most_entries = 4096;

template <class Document>
bool understood(const diatom::Result<Document>& document) {
  if (!document) diatom::fuzz::require_refusal(document.error());
  return document.has_value();
}

void check_manifest(const Manifest& manifest) {
  REQUIRE(manifest.layers.size() <= most_entries);
  REQUIRE(!manifest.config.digest.empty());
  auto again = parse_manifest(print_manifest(manifest));
  REQUIRE(again);
  REQUIRE(print_manifest(*again) == print_manifest(manifest));
  REQUIRE(again->layers.size() == manifest.layers.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text = diatom::fuzz::as_text(data, size);
  if (auto index = parse_index(text); understood(index)) REQUIRE(index->manifests.size() <= most_entries);
  if (auto manifest = parse_manifest(text); understood(manifest)) check_manifest(*manifest);
  if (auto config = parse_config(text); understood(config))
    for (const Digest& diff_id : config->diff_ids) REQUIRE(!diff_id.empty());
  if (auto images = parse_docker_archive(text); understood(images))
    for (const DockerArchiveImage& image : *images) REQUIRE(!image.config.empty());
  return 0;
}
