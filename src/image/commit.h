#pragma once

#include <string>
#include <vector>

#include "base/cancel.h"
#include "diatom/files.h"
#include "diatom/spec.h"
#include "store/store.h"

namespace diatom::image {

struct CommitInput {
  std::string parent;                // the container's image: id
  const ContainerSpec& spec;         // what the container was asked to be: the new image's config says the same
  std::vector<std::string> command;  // that it runs, for the history
  const CommitOptions& options;
};

// What is wrong with what was asked for is better said before a layer is read.
Result<> check_commit(const CommitOptions& options);

// An image of the parent's layers and one more, the tar that comes from `layer_fd` (borrowed); none more where that is
// empty. Returns its id. What failed leaves nothing behind that the next sweep does not take.
Result<std::string> commit_image(store::Store& store, const CommitInput& input, int layer_fd,
                                 const CancelToken& cancel);

// The config of such an image (JSON, image-spec config.md), of its parent's. Pure. `diff_id` is empty where there is no
// layer.
Result<std::string> commit_config(const std::string& parent, const CommitInput& input, const std::string& diff_id,
                                  const std::string& created);

}  // namespace diatom::image
