#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

namespace diatom {

// Where a file of ours may be ("libexec/diatom/diatom-monitor"), best first: below the prefix that the program, or
// libdiatom in a program of somebody else's, was installed or built in; then /usr/local and /usr. Nothing is looked
// at. Never beside somebody else's program: that may lie where anybody can write.
std::vector<std::filesystem::path> installed_file_candidates(std::string_view name);

}  // namespace diatom
