#include "image/resolve.h"

#include "oci/reference.h"
#include "store/content_store.h"

namespace diatom::image {

namespace {

// Nothing where the image says nothing, or what nobody understands: docker goes on without a check, too.
std::optional<HealthCheck> health_check(const oci::Healthcheck& said) {
  if (said.test.empty()) return std::nullopt;
  HealthCheck check;
  if (said.test.front() == "CMD") {
    check.command.assign(said.test.begin() + 1, said.test.end());
  } else if (said.test.front() == "CMD-SHELL" && said.test.size() > 1) {
    check.command = {"/bin/sh", "-c", said.test[1]};
  }
  if (said.interval_ns > 0) check.interval = std::chrono::nanoseconds(said.interval_ns);
  if (said.timeout_ns > 0) check.timeout = std::chrono::nanoseconds(said.timeout_ns);
  check.start_period = std::chrono::nanoseconds(said.start_period_ns);
  if (said.retries > 0) check.retries = static_cast<unsigned>(std::min<int64_t>(said.retries, 1000));
  return check;
}

}  // namespace

std::vector<ImageExtent> root_device(const store::Paths& paths, const store::ImageRecord& record) {
  std::vector<ImageExtent> extents = {{paths.image_metadata(record.id), record.metadata_bytes}};
  for (const auto& layer : record.layers)
    if (layer.data_bytes > 0) extents.push_back({paths.layer_data(layer.diff_id), layer.data_bytes});
  return extents;
}

std::vector<std::string> familiar_names(const std::vector<std::string>& canonical) {
  std::vector<std::string> names;
  for (const auto& name : canonical) names.push_back(oci::Reference::parse(name)->familiar());
  return names;
}

Result<ReadConfig> read_config(store::Store& store, const store::ImageRecord& record) {
  auto text = store::read_blob(store.paths(), oci::Digest::from_hex(record.id));
  auto parsed = text ? oci::parse_config(*text) : std::unexpected(text.error());
  if (parsed) return ReadConfig{std::move(*text), std::move(*parsed)};
  std::string name = record.tags.empty() ? record.id.substr(0, 12) : familiar_names(record.tags).front();
  auto there = store.images().find("sha256:" + record.id);
  if (!there && there.error().code == Errc::not_found)
    return fail(Errc::not_found, "read image " + name + ": it has just been removed");
  return fail(Errc::internal, "read config of image " + name + ": " + parsed.error().message,
              "pull or load it again, or `diatom rmi " + name + "`");
}

Result<ResolvedImage> resolve_image(store::Store& store, std::string_view reference) {
  store::ImageRecord record = TRY(store.images().find(reference));
  oci::ImageConfig config = TRY(read_config(store, record)).parsed;
  return ResolvedImage{"sha256:" + record.id,
                       {.entrypoint = std::move(config.entrypoint),
                        .cmd = std::move(config.cmd),
                        .env = std::move(config.env),
                        .working_dir = std::move(config.working_dir),
                        .user = std::move(config.user),
                        .stop_signal = std::move(config.stop_signal),
                        .health = health_check(config.healthcheck),
                        .labels = std::move(config.labels),
                        .exposed_ports = std::move(config.exposed_ports)},
                       root_device(store.paths(), record)};
}

}  // namespace diatom::image
