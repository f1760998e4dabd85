#include "channel/reports.h"

#include "channel/json_fields.h"

namespace diatom::channel {

namespace {

constexpr auto cpu_fields = [](auto& field, auto& cpu) {
  field("usage_us", cpu.usage_us);
  field("user_us", cpu.user_us);
  field("system_us", cpu.system_us);
  field("nr_periods", cpu.nr_periods);
  field("nr_throttled", cpu.nr_throttled);
  field("throttled_us", cpu.throttled_us);
};

constexpr auto memory_fields = [](auto& field, auto& memory) {
  field("current", memory.current);
  field("peak", memory.peak);
  field("limit", memory.limit);
  field("cache", memory.cache);
  field("anon", memory.anon);
  field("inactive_file", memory.inactive_file);
  field("swap", memory.swap);
  field("oom_kills", memory.oom_kills);
};

constexpr auto device_fields = [](auto& field, auto& device) {
  field("major", device.major);
  field("minor", device.minor);
  field("read_bytes", device.read_bytes);
  field("written_bytes", device.written_bytes);
  field("reads", device.reads);
  field("writes", device.writes);
};

constexpr auto io_fields = [](auto& field, auto& io) {
  field("read_bytes", io.read_bytes);
  field("written_bytes", io.written_bytes);
  field("reads", io.reads);
  field("writes", io.writes);
  field.list("devices", io.devices, device_fields);
};

constexpr auto pids_fields = [](auto& field, auto& pids) {
  field("current", pids.current);
  field("limit", pids.limit);
};

constexpr auto interface_fields = [](auto& field, auto& interface) {
  field("name", interface.name);
  field("rx_bytes", interface.rx_bytes);
  field("rx_packets", interface.rx_packets);
  field("rx_errors", interface.rx_errors);
  field("rx_dropped", interface.rx_dropped);
  field("tx_bytes", interface.tx_bytes);
  field("tx_packets", interface.tx_packets);
  field("tx_errors", interface.tx_errors);
  field("tx_dropped", interface.tx_dropped);
};

constexpr auto stats_fields = [](auto& field, auto& stats) {
  field.object("cpu", stats.cpu, cpu_fields);
  field.object("memory", stats.memory, memory_fields);
  field.object("io", stats.io, io_fields);
  field.object("pids", stats.pids, pids_fields);
  field.list("interfaces", stats.interfaces, interface_fields);
  field("online_cpus", stats.online_cpus);
  field("time_us", stats.time_us);
  field("uptime_us", stats.uptime_us);
  field("agent_rss_bytes", stats.agent_rss_bytes);
  field("agent_processes", stats.agent_processes);
};

constexpr auto process_entry_fields = [](auto& field, auto& process) {
  field("pid", process.pid);
  field("ppid", process.ppid);
  field("uid", process.uid);
  field("user", process.user);
  field("state", process.state);
  field("tty", process.tty);
  field("start_time", process.start_time);
  field("cpu_ms", process.cpu_ms);
  field("cpu_permille", process.cpu_permille);
  field("vsz_kib", process.vsz_kib);
  field("rss_kib", process.rss_kib);
  field("nice", process.nice);
  field("threads", process.threads);
  field("comm", process.comm);
  field("cmdline", process.cmdline);
};

constexpr auto list_fields = [](auto& field, auto& list) {
  field.list("processes", list.processes, process_entry_fields);
  field("total", list.total);
};

constexpr auto clock_fields = [](auto& field, auto& reading) { field("monotonic_ns", reading.monotonic_ns); };

}  // namespace

std::string encode(const Stats& stats) { return encode_fields(stats, stats_fields); }
std::string encode(const ProcessList& list) { return encode_fields(list, list_fields); }
std::string encode(const ClockReading& reading) { return encode_fields(reading, clock_fields); }

Result<Stats> decode_stats(std::string_view text) { return decode_fields<Stats>("stats", text, stats_fields); }

Result<ProcessList> decode_process_list(std::string_view text) {
  ProcessList list = TRY(decode_fields<ProcessList>("process list", text, list_fields));
  if (list.processes.size() > most_listed_processes)
    return fail(Errc::invalid_argument, "read process list: it is too long");
  return list;
}

Result<ClockReading> decode_clock_reading(std::string_view text) {
  ClockReading reading = TRY(decode_fields<ClockReading>("clock reading", text, clock_fields));
  if (reading.monotonic_ns < 0) return fail(Errc::invalid_argument, "read clock reading: it is before its beginning");
  return reading;
}

}  // namespace diatom::channel
