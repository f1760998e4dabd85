#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "oci/digest.h"

namespace diatom::oci {

// The name of an image: [registry[:port]/]repository[:tag][@digest], by the grammar of the distribution project
// (github.com/distribution/reference) and with docker's defaults: docker.io, library/, latest.
struct Reference {
  std::string registry;    // "docker.io", "localhost:5000"
  std::string repository;  // "library/busybox"
  std::string tag;         // "latest"; empty when there is a digest and no tag
  Digest digest;           // empty when none was given

  // Errors: invalid_argument names the text and what is wrong.
  static Result<Reference> parse(std::string_view text);
  std::string name() const;       // without tag and digest: "docker.io/library/busybox"
  std::string canonical() const;  // everything: "docker.io/library/busybox:latest"
  std::string familiar() const;   // as people write it: "busybox:latest"
};

}  // namespace diatom::oci
