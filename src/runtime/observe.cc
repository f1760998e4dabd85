// What is to be known of a container: its logs, its figures, its processes; and what all of it takes on the disk.
#include <algorithm>
#include <set>

#include "base/clock.h"
#include "base/file.h"
#include "base/platform/platform.h"
#include "channel/reports.h"
#include "diatom/runtime.h"
#include "rootfs/upper.h"
#include "runtime/logs/print.h"
#include "runtime/runtime_impl.h"
#include "runtime/waiter.h"
#include "vm/engine.h"

namespace diatom {

Result<> Runtime::Impl::logs(std::string_view reference, const LogQuery& query, const LogSink& sink) {
  store::ContainerRecord container = TRY(find_true(reference));
  fs::path folder = store->paths().container(container.id);
  LogFollow follow;
  UniqueFd monitor;  // closes when it ends, however that is
  if (query.follow) {
    if (auto socket = TRY(try_connect(container.id))) monitor = std::move(*socket);
    follow.ended_fd = monitor.get();
    follow.stop_fd = interrupt->pollable();
    follow.ended = [this, id = container.id] {
      auto now = find_true(id);
      return !now || !store::has_owner(*now);
    };
  }
  return print_logs(folder / "container.log", query, sink, follow);
}

Result<> Runtime::logs(std::string_view reference, const LogQuery& query, int stdout_fd, int stderr_fd) {
  return impl_->logs(reference, query, log_sink(stdout_fd, stderr_fd));
}

Result<> Runtime::logs(std::string_view reference, const LogQuery& query, const LogHandler& handler) {
  bool enough = false;
  auto sink = [&](channel::Output stream, std::string_view bytes) -> Result<> {
    enough =
        !handler(stream == channel::Output::stdout_stream ? LogStream::stdout_stream : LogStream::stderr_stream, bytes);
    return enough ? fail(Errc::cancelled, "read logs: no more is wanted") : Result<>();
  };
  auto read = impl_->logs(reference, query, sink);
  return enough ? Result<>() : read;
}

namespace {

ContainerStats stats_of(const channel::Stats& guest) {
  ContainerStats stats{.id = {},
                       .name = {},
                       .time_ns = wall_clock_ns(),
                       .cpu_us = guest.cpu.usage_us,
                       .cpu_user_us = guest.cpu.user_us,
                       .cpu_system_us = guest.cpu.system_us,
                       .cpu_periods = guest.cpu.nr_periods,
                       .cpu_throttled_periods = guest.cpu.nr_throttled,
                       .cpu_throttled_us = guest.cpu.throttled_us,
                       .cpus = guest.online_cpus,
                       .memory_bytes = guest.memory.current,
                       .memory_peak_bytes = guest.memory.peak,
                       .memory_limit_bytes = guest.memory.limit,
                       .memory_cache_bytes = guest.memory.cache,
                       .memory_inactive_file_bytes = guest.memory.inactive_file,
                       .memory_anon_bytes = guest.memory.anon,
                       .oom_kills = guest.memory.oom_kills,
                       .block = {},
                       .pids = guest.pids.current,
                       .pids_limit = guest.pids.limit,
                       .networks = {}};
  for (const auto& device : guest.io.devices)
    stats.block.push_back({.device = std::to_string(device.major) + ":" + std::to_string(device.minor),
                           .read_bytes = device.read_bytes,
                           .write_bytes = device.written_bytes,
                           .read_operations = device.reads,
                           .write_operations = device.writes});
  for (const auto& one : guest.interfaces)
    stats.networks.push_back({.name = one.name,
                              .rx_bytes = one.rx_bytes,
                              .rx_packets = one.rx_packets,
                              .rx_errors = one.rx_errors,
                              .rx_dropped = one.rx_dropped,
                              .tx_bytes = one.tx_bytes,
                              .tx_packets = one.tx_packets,
                              .tx_errors = one.tx_errors,
                              .tx_dropped = one.tx_dropped});
  return stats;
}

// The VMM's process, and the monitor's.
void add_host_cost(ContainerStats& stats, const store::ContainerRecord& container, pid_t monitor) {
  for (pid_t pid : {static_cast<pid_t>(container.pid), monitor}) {
    if (pid <= 0) continue;
    platform::ProcessUsage usage = platform::process_usage(pid);
    stats.host_rss_bytes += usage.rss_bytes;
    stats.host_pss_bytes += usage.pss_bytes;
    stats.host_cpu_us += usage.cpu_us;
  }
}

// What a guest says is foreign: seconds that fit as nanoseconds.
constexpr uint64_t latest_time = INT64_MAX / 1'000'000'000;

ProcessInfo process_of(const channel::ProcessEntry& entry) {
  ProcessInfo process{.pid = static_cast<int64_t>(entry.pid),
                      .ppid = static_cast<int64_t>(entry.ppid),
                      .uid = entry.uid,
                      .user = entry.user,
                      .state = entry.state.empty() ? '?' : entry.state.front(),
                      .tty = entry.tty,
                      .started_ns = static_cast<int64_t>(std::min(entry.start_time, latest_time)) * 1'000'000'000,
                      .cpu_ms = entry.cpu_ms,
                      .cpu_permille = entry.cpu_permille,
                      .vsz_bytes = entry.vsz_kib << 10,
                      .rss_bytes = entry.rss_kib << 10,
                      .nice = entry.nice,
                      .threads = entry.threads,
                      .command = entry.comm,
                      .arguments = {}};
  for (size_t begin = 0; begin < entry.cmdline.size();) {
    size_t end = std::min(entry.cmdline.find('\0', begin), entry.cmdline.size());
    process.arguments.push_back(entry.cmdline.substr(begin, end - begin));
    begin = end + 1;
  }
  return process;
}

}  // namespace

Result<ContainerStats> Runtime::stats(std::string_view reference) {
  store::ContainerRecord container = TRY(impl_->find(reference));
  std::string answer = TRY(impl_->ask(container, "measure", "GET", "/v1/stats"));
  channel::Stats guest = TRY(channel::decode_stats(answer));
  ContainerStats stats = stats_of(guest);
  container = TRY(impl_->find(container.id));  // it may have begun another run meanwhile
  stats.id = container.id;
  stats.name = container.name;
  add_host_cost(stats, container, impl_->store->containers().owner(container.id));
  return stats;
}

namespace {

// One question to one of many; it is over when all are.
struct Measured {
  store::ContainerRecord container;
  Result<ContainerStats> result = fail(Errc::timeout, "");
  std::unique_ptr<ControlClient> client;  // goes first: what it has to say of that is for the result
};

Result<ContainerStats> read_stats(const Result<std::string>& answer) {
  if (!answer) return std::unexpected(answer.error());
  return stats_of(TRY(channel::decode_stats(*answer)));
}

}  // namespace

Result<std::vector<Result<ContainerStats>>> Runtime::stats(const std::vector<std::string>& references,
                                                           std::chrono::milliseconds deadline) {
  auto waiter = TRY(Waiter<bool>::create(*impl_->interrupt));
  size_t pending = references.size();
  auto answered = [&](Measured& one, Result<ContainerStats> result) {
    one.result = std::move(result);
    if (--pending == 0) waiter->done(true);
  };
  std::vector<std::unique_ptr<Measured>> all;
  for (const auto& reference : references) {
    Measured& one = *all.emplace_back(std::make_unique<Measured>());
    auto ask = [&]() -> Result<> {
      one.container = TRY(impl_->find(reference));
      UniqueFd socket = TRY(impl_->connect(one.container, "measure"));
      one.client = TRY(ControlClient::connect(waiter->loop(), std::move(socket), [](const Error&) {}));
      one.client->call("GET", "/v1/stats", "",
                       [&](const Result<std::string>& answer) { answered(one, read_stats(answer)); });
      return {};
    };
    one.result = fail(Errc::timeout, "measure container \"" + reference + "\": it does not answer");
    if (auto asked = ask(); !asked) answered(one, std::unexpected(asked.error()));
  }
  waiter->loop().after(deadline, [&] { waiter->done(true); });
  if (pending > 0) static_cast<void>(TRY(waiter->wait()));
  TRY(impl_->interrupt->check());
  std::vector<Result<ContainerStats>> results;
  for (const auto& one : all) {
    if (one->result) {
      one->result->id = one->container.id;
      one->result->name = one->container.name;
      add_host_cost(*one->result, one->container, impl_->store->containers().owner(one->container.id));
    }
    results.push_back(std::move(one->result));
  }
  return results;
}

Result<std::vector<ProcessInfo>> Runtime::top(std::string_view reference) {
  store::ContainerRecord container = TRY(impl_->find(reference));
  std::string answer = TRY(impl_->ask(container, "list processes of", "GET", "/v1/processes"));
  std::vector<ProcessInfo> processes;
  for (const auto& entry : TRY(channel::decode_process_list(answer)).processes) processes.push_back(process_of(entry));
  return processes;
}

Result<uint64_t> Runtime::prune_templates() {
  fs::path templates = impl_->store->paths().templates();
  uint64_t freed = TRY(rootfs::prune_uppers(templates));
  return freed + TRY(vm::prune_templates(templates));
}

Result<DiskUsage> Runtime::disk_usage() {
  DiskUsage usage;
  store::Store& store = *impl_->store;
  std::set<std::string> used_images;
  for (const auto& container : TRY(store.containers().list())) {
    uint64_t bytes = disk_bytes(store.paths().container(container.id));
    bool active = store::has_owner(container);
    used_images.insert(container.image);
    ++usage.containers.count;
    usage.containers.bytes += bytes;
    usage.containers.active += active ? 1 : 0;
    usage.containers.reclaimable_bytes += active ? 0 : bytes;
    usage.each_container.push_back({container.id, bytes});
  }
  usage.images.bytes = TRY(store.content_bytes());
  uint64_t needed = 0;
  std::set<std::string> needed_layers;
  for (const auto& image : TRY(store.images().list())) {
    ++usage.images.count;
    if (!used_images.contains(image.id)) continue;
    ++usage.images.active;
    needed += disk_bytes(store.paths().image_metadata(image.id));
    for (const auto& layer : image.layers)
      if (needed_layers.insert(layer.diff_id).second)
        needed += disk_bytes(store.paths().layer_data(layer.diff_id)) +
                  disk_bytes(store.paths().layer_index(layer.diff_id)) + disk_bytes(store.paths().blobs() / layer.blob);
  }
  usage.images.reclaimable_bytes = usage.images.bytes - std::min(needed, usage.images.bytes);
  usage.templates.bytes = disk_bytes(store.paths().templates());
  usage.templates.reclaimable_bytes = usage.templates.bytes;
  for (const SnapshotInfo& snapshot : TRY(snapshots())) {
    ++usage.snapshots.count;
    usage.snapshots.bytes += snapshot.disk_bytes;
  }
  return usage;
}

}  // namespace diatom
