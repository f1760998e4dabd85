// `stats`: docker's figures from two samples. Pure.
#pragma once

#include <optional>

#include "cli/template.h"
#include "diatom/container.h"

namespace diatom::cli {

// Of one CPU: two that are busy make 200. 0 without an earlier sample, and when the container has begun anew.
double cpu_percent(const std::optional<ContainerStats>& before, const ContainerStats& now);
// A row of the listing. `before` is an earlier sample of the same container.
Json stats_row(const std::optional<ContainerStats>& before, const ContainerStats& now, bool whole_id);
// Of one that does not run, or does not answer.
Json stats_row_without(const std::string& id, const std::string& name, bool whole_id);

}  // namespace diatom::cli
