// What there is to know of containers, images and this host, as JSON: for the command line and the C API. Where docker
// has such a document the names are docker's, so that what was written for docker works; else they are those of the
// public structs. Each list of fields is here once. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "diatom/events.h"
#include "diatom/images.h"
#include "diatom/runtime.h"

namespace diatom {

// ---- Containers.
Json container_json(const ContainerInfo& info);  // docker's `inspect`
// "80/tcp": what may be reached in it, published or not.
std::vector<std::string> container_exposed(const ContainerInfo& info);
Json created_json(const CreatedContainer& created);
Json exit_json(const ExitInfo& exit);
Json attach_json(const AttachResult& result);  // an exit, and how the streams fared
Json run_json(const RunResult& result);
Json stats_json(const ContainerStats& stats);
Json process_json(const ProcessInfo& process);
Json pruned_containers_json(const Runtime::Pruned& pruned);
Json copy_json(const CopyResult& result);
Json path_json(const PathStat& path);
Json changes_json(const std::vector<FileChange>& changes);  // podman's: the paths by their kind
Json committed_json(const CommittedImage& image);

// ---- Images.
Json image_json(const ImageInfo& image);          // docker's `inspect`
Json image_summary_json(const ImageInfo& image);  // as lists have it
Json history_json(const HistoryEntry& entry);
Json loaded_image_json(const LoadedImage& image);
Json pulled_image_json(const PulledImage& image);
Json pushed_image_json(const PushedImage& image);
Json removed_image_json(const RemovedImage& image);
Json pruned_images_json(const PrunedImages& images);
// `status`: in docker's words ("Downloading"); left out when empty.
Json progress_json(const TransferProgress& progress, std::string_view status = {});
std::string_view transfer_phase_name(TransferProgress::Phase phase);

// ---- The system.
Json event_json(const Event& event);  // docker's API
Json doctor_json(const DoctorReport& report);
Json version_json(const SystemInfo& system);  // docker's `version`
// docker's `info`.
Json info_json(const SystemInfo& system, const std::vector<ContainerInfo>& containers, size_t images);
Json disk_usage_json(const DiskUsage& usage);
Json snapshot_json(const SnapshotInfo& info);
Json login_json(const LoginResult& result);

// "2026-11-24T12:00:00.123456789Z"; docker's zero time for 0.
std::string json_time(int64_t nanoseconds);

}  // namespace diatom
