// What a registry or a token server says went wrong, for our messages: bounded, and nothing in it that a terminal
// would act on.
#pragma once

#include <string>
#include <string_view>

namespace diatom::image {

// The distribution-spec's errors[] ("manifest unknown (MANIFEST_UNKNOWN)"), OAuth2's error and error_description,
// docker's "details" and "message", or the first line of a plain text. Empty for anything else.
std::string describe_error_body(std::string_view body);

}  // namespace diatom::image
