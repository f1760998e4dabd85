#include "image/registry/manifest_reply.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "base/json_shape.h"
#include "base/text.h"

namespace diatom::image {

namespace {

using nlohmann::json;
namespace type = oci::media_type;

bool is_schema_1(std::string_view media_type) {
  return media_type.starts_with("application/vnd.docker.distribution.manifest.v1+");
}

std::unexpected<Error> refuse_schema_1() {
  return fail(Errc::unsupported, "it is a manifest of docker's schema 1, which was given up in 2017",
              "push the image again with a tool of this age (skopeo copy --format oci)");
}

// A document of a registry that announces "application/json" or nothing.
std::string sniff(const json& document) {
  if (auto field = document.find("mediaType"); field != document.end() && field->is_string())
    return field->get<std::string>();
  if (document.contains("manifests")) return std::string(type::index);
  if (document.contains("config")) return std::string(type::manifest);
  return "";
}

}  // namespace

std::string manifest_accept() {
  return fmt::format("Accept: {}, {}, {}, {}", type::index, type::manifest, type::docker_list, type::docker_manifest);
}

Result<std::string> manifest_media_type(std::optional<std::string_view> content_type, std::string_view bytes) {
  std::string_view announced = content_type.value_or("");
  announced = announced.substr(0, announced.find_first_of("; "));
  if (oci::is_index_type(announced) || oci::is_manifest_type(announced)) return std::string(announced);
  if (is_schema_1(announced)) return refuse_schema_1();
  if (bytes.empty()) return std::string();  // a HEAD: it will be seen later
  json document = json_is_excessive(bytes) ? json() : json::parse(bytes, nullptr, false);
  if (!document.is_object())
    return fail(Errc::unsupported, "\"" + printable(announced) + "\" is neither a manifest nor an index");
  if (auto version = document.find("schemaVersion"); version != document.end() && *version == 1)
    return refuse_schema_1();
  std::string found = sniff(document);
  if (oci::is_index_type(found) || oci::is_manifest_type(found)) return found;
  return fail(Errc::unsupported,
              "\"" + printable(found.empty() ? announced : found) + "\" is neither a manifest nor an index");
}

Result<ManifestDocument> check_manifest(std::string_view reference, const HttpHead& head, std::string bytes) {
  ManifestDocument document;
  document.digest = oci::Digest::from_hex(sha256_hex(bytes));
  auto differs = [&](std::string_view what, std::string_view other) {
    return fail(Errc::image_pull, fmt::format("what came has the digest {}, not the {} {}", document.digest.text(),
                                              what, printable(other)));
  };
  if (reference.starts_with("sha256:") && reference != document.digest.text())
    return differs("one that was asked for,", reference);
  if (auto announced = head.headers.get("docker-content-digest");
      announced && announced->starts_with("sha256:") && *announced != document.digest.text())
    return differs("announced", *announced);
  document.media_type = TRY(manifest_media_type(head.headers.get("content-type"), bytes));
  document.bytes = std::move(bytes);
  return document;
}

std::optional<std::string> next_link(std::string_view header) {
  while (!header.empty()) {
    size_t open = header.find('<');
    size_t close = header.find('>', open == std::string_view::npos ? 0 : open);
    if (open == std::string_view::npos || close == std::string_view::npos) return std::nullopt;
    size_t end = std::min(header.find('<', close), header.size());
    std::string_view params = header.substr(close, end - close);
    if (params.find("rel=\"next\"") != std::string_view::npos || params.find("rel=next") != std::string_view::npos)
      return std::string(header.substr(open + 1, close - open - 1));
    header.remove_prefix(end);
  }
  return std::nullopt;
}

}  // namespace diatom::image
