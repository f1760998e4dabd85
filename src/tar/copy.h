// What `docker cp` makes of a source and a destination, the same on both sides: the host packs and the guest unpacks,
// or the other way round. Links that a path runs through are followed, within the root of the process.
#pragma once

#include <string>

#include "base/error.h"
#include "tar/pack.h"
#include "tar/unpack.h"

namespace diatom::tar {

// What a path's tar calls it: its last name, and "." where its contents are meant ("dir/.", "/").
std::string top_name(const std::string& path);

// Packs what is at `path`, which is absolute and has no "..". A link at its end is packed as a link, unless `follow`,
// or
// "/" behind it.
Result<> pack_path(Writer& writer, const std::string& path, bool follow, const PackOptions& options);
// The entry alone: a file's has its size, and no data.
Result<Entry> describe_path(const std::string& path, bool follow);

// Unpacks a tar of pack_path() whose source is called `top` where docker would put it: into a directory that is there,
// instead of a file that is there, or as what is not there yet.
Result<> unpack_copy(Reader& reader, const std::string& destination, const std::string& top,
                     const UnpackOptions& options);
// Unpacks any tar into a directory, which must be there.
Result<> unpack_stream(Reader& reader, const std::string& destination, const UnpackOptions& options);

}  // namespace diatom::tar
