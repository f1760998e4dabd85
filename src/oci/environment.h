// A program's environment as images and containers write it: a list of "K=V".
#pragma once

#include <string>
#include <vector>

namespace diatom::oci {

// "K=V" takes the place of a K that is there; "K" takes that out (docker's --env).
void set_variable(std::vector<std::string>& env, const std::string& entry);

}  // namespace diatom::oci
