// What is to be checked of a manifest that came over the network.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "image/registry/http.h"
#include "image/registry/registry_client.h"

namespace diatom::image {

inline constexpr size_t largest_manifest = 4 << 20;
// The Accept header: OCI's and docker's indexes and manifests.
std::string manifest_accept();

// The type of a document: what was announced, or where that says nothing, what the document says of itself. Errors:
// unsupported for docker's schema 1 and for what is neither an index nor a manifest.
Result<std::string> manifest_media_type(std::optional<std::string_view> content_type, std::string_view bytes);

// Compares the digest of `bytes` with the one that was asked for (if it was one) and the announced one.
Result<ManifestDocument> check_manifest(std::string_view reference, const HttpHead& head, std::string bytes);

// rel="next" of a Link header (RFC 8288): the URL as it stands there, perhaps relative.
std::optional<std::string> next_link(std::string_view header);

}  // namespace diatom::image
