#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace diatom::agent {

// What the kernel would execute to run a file that begins so; empty: the file itself, or nothing. (execve(2),
// "Interpreter scripts"; elf(5), PT_INTERP)
std::string interpreter_of(std::string_view head);

// Has in memory what a program's start reads: its file, that of its interpreter, and the C library beside that. For a
// VM that others are restored from; a wish, as the image's files may be anything.
void read_ahead(const std::string& program, const std::vector<std::string>& env);

}  // namespace diatom::agent
