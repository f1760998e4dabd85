#pragma once

#include "diatom/images.h"
#include "diatom/runtime.h"
#include "store/store.h"

namespace diatom {

// The container's folder, its writable layer and its record: nothing runs, and nothing of the image is copied. A
// failure leaves nothing behind.
Result<CreatedContainer> create_container(store::Store& store, const ContainerSpec& spec);

}  // namespace diatom
