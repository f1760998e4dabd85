#include "channel/messages.h"

#include "channel/json_fields.h"

namespace diatom::channel {

namespace {

constexpr int64_t last_offset_ns = INT64_MAX / 2;  // in the year 2116; what is added to it does not overflow
constexpr size_t most_entropy = 512;               // what Linux takes at once

// Each message's fields, once: for writing and for reading.

constexpr auto network_fields = [](auto& field, auto& network) {
  field("interface", network.interface);
  field("mac", network.mac);
  field("address", network.address);
  field("prefix", network.prefix);
  field("gateway", network.gateway);
  field("resolver", network.resolver);
  field("published_udp", network.published_udp);
};

constexpr auto container_fields = [](auto& field, auto& config) {
  field("hostname", config.hostname);
  field("resolv_conf", config.resolv_conf);
  field("extra_hosts", config.extra_hosts);
  field("read_only", config.read_only);
  field("has_upper", config.has_upper);
  field.list("tmpfs", config.tmpfs, [](auto& each, auto& mount) {
    each("path", mount.path);
    each("options", mount.options);
  });
  field("shm_bytes", config.shm_bytes);
  field("cpu_quota_us", config.cpu_quota_us);
  field("memory_max", config.memory_max);
  field("pids_max", config.pids_max);
  field("init", config.init);
  field.list("ulimits", config.ulimits, [](auto& each, auto& limit) {
    each("name", limit.name);
    each("soft", limit.soft);
    each("hard", limit.hard);
  });
  field.list("sysctls", config.sysctls, [](auto& each, auto& setting) {
    each("name", setting.name);
    each("value", setting.value);
  });
  field("cap_add", config.cap_add);
  field("cap_drop", config.cap_drop);
  field("privileged", config.privileged);
  field("no_new_privileges", config.no_new_privileges);
  field.optional("network", config.network, network_fields);
  field("clock_offset_ns", config.clock_offset_ns);
  field("entropy", config.entropy);
};

constexpr auto preparation_fields = [](auto& field, auto& preparation) {
  container_fields(field, preparation.container);
  field("program", preparation.program);
  field("env", preparation.env);
};

constexpr auto identity_fields = [](auto& field, auto& identity) {
  field("clock_offset_ns", identity.clock_offset_ns);
  field("entropy", identity.entropy);
  field("hostname", identity.hostname);
  field("mac", identity.mac);
};

// Of a message with both fields.
Result<> check_clock(const char* what, const auto& message) {
  if (message.clock_offset_ns >= 0 && message.clock_offset_ns <= last_offset_ns &&
      message.entropy.size() <= most_entropy)
    return {};
  return fail(Errc::invalid_argument,
              std::string("read ") + what + ": \"clock_offset_ns\" or \"entropy\" is out of range");
}

Result<> check_container(const ContainerConfig& config) {
  if (config.network && config.network->prefix > 32)
    return fail(Errc::invalid_argument, "read container config: \"prefix\" of its network is more than 32");
  return check_clock("container config", config);
}

constexpr auto process_fields = [](auto& field, auto& config) {
  field("tool", config.tool);
  field("argv", config.argv);
  field("env", config.env);
  field("cwd", config.cwd);
  field("user", config.user);
  field("groups", config.groups);
  field("tty", config.tty);
  field("rows", config.rows);
  field("cols", config.cols);
  field("open_stdin", config.open_stdin);
  field("detached", config.detached);
  field("privileged", config.privileged);
};

constexpr auto exit_fields = [](auto& field, auto& report) {
  field("code", report.code);
  field("signal", report.signal);
  field("oom_killed", report.oom_killed);
};

constexpr auto failure_fields = [](auto& field, auto& failure) {
  field("exit_code", failure.exit_code);
  field("message", failure.message);
};

constexpr auto limit_fields = [](auto& field, auto& limits) {
  field("cpu_quota_us", limits.cpu_quota_us);
  field("cpu_weight", limits.cpu_weight);
  field("memory_max", limits.memory_max);
  field("pids_max", limits.pids_max);
};

}  // namespace

std::string encode(const ContainerConfig& config) { return encode_fields(config, container_fields); }
std::string encode(const Preparation& preparation) { return encode_fields(preparation, preparation_fields); }
std::string encode(const Identity& identity) { return encode_fields(identity, identity_fields); }
std::string encode(const ProcessConfig& config) { return encode_fields(config, process_fields); }
std::string encode(const ExitReport& report) { return encode_fields(report, exit_fields); }
std::string encode(const StartFailure& failure) { return encode_fields(failure, failure_fields); }
std::string encode(const Limits& limits) { return encode_fields(limits, limit_fields); }

Result<ContainerConfig> decode_container_config(std::string_view text) {
  ContainerConfig config = TRY(decode_fields<ContainerConfig>("container config", text, container_fields));
  TRY(check_container(config));
  return config;
}

Result<Preparation> decode_preparation(std::string_view text) {
  Preparation preparation = TRY(decode_fields<Preparation>("preparation", text, preparation_fields));
  TRY(check_container(preparation.container));
  return preparation;
}

Result<Identity> decode_identity(std::string_view text) {
  Identity identity = TRY(decode_fields<Identity>("identity", text, identity_fields));
  TRY(check_clock("identity", identity));
  return identity;
}

Result<ProcessConfig> decode_process_config(std::string_view text) {
  ProcessConfig config = TRY(decode_fields<ProcessConfig>("process config", text, process_fields));
  if (config.argv.empty() || config.argv.front().empty())
    return fail(Errc::invalid_argument, "read process config: \"argv\" names no program");
  if (!config.tool.empty() && config.tty)
    return fail(Errc::invalid_argument, "read process config: a \"tool\" has no terminal");
  return config;
}

Result<ExitReport> decode_exit_report(std::string_view text) {
  ExitReport report = TRY(decode_fields<ExitReport>("exit report", text, exit_fields));
  if (report.code < 0 || report.code > 255 || report.signal < 0 || report.signal > 64)
    return fail(Errc::invalid_argument, "read exit report: a code or a signal is out of range");
  return report;
}

Result<StartFailure> decode_start_failure(std::string_view text) {
  StartFailure failure = TRY(decode_fields<StartFailure>("start failure", text, failure_fields));
  if (failure.exit_code < 125 || failure.exit_code > 127) failure.exit_code = 125;
  return failure;
}

Result<Limits> decode_limits(std::string_view text) {
  Limits limits = TRY(decode_fields<Limits>("limits", text, limit_fields));
  if (limits.cpu_weight && (*limits.cpu_weight < 1 || *limits.cpu_weight > 10'000))
    return fail(Errc::invalid_argument, "read limits: \"cpu_weight\" is not from 1 to 10000");
  return limits;
}

}  // namespace diatom::channel
