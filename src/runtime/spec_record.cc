#include "runtime/spec_record.h"

#include <nlohmann/json.hpp>

#include "channel/json_fields.h"

namespace diatom {

namespace {

using channel::decode_bytes;
using channel::encode_bytes;
using nlohmann::json;

// Each field once, for both ways. `Spec` is const for the writer.
template <class Fields, class Spec>
void each_field(Fields& fields, Spec& spec) {
  fields("image", spec.image);
  fields("name", spec.name);
  fields("hostname", spec.hostname);
  fields("entrypoint", spec.entrypoint);
  fields("args", spec.args);
  fields("env", spec.env);
  fields("working_dir", spec.working_dir);
  fields("user", spec.user);
  fields("tty", spec.tty);
  fields("open_stdin", spec.open_stdin);
  fields("stdin_once", spec.stdin_once);
  fields("read_only", spec.read_only);
  fields("tmpfs", spec.tmpfs);
  fields("labels", spec.labels);
  fields("cpus", spec.cpus);
  fields("memory_bytes", spec.memory_bytes);
  fields("disk_bytes", spec.disk_bytes);
  fields("engine", spec.engine);
  fields("auto_remove", spec.auto_remove);
  fields("stop_signal", spec.stop_signal);
  fields("stop_timeout_s", spec.stop_timeout);
  fields("restart", spec.restart);
  fields("health", spec.health);
  fields("log", spec.log);
  fields("init", spec.init);
  fields("privileged", spec.privileged);
  fields("no_new_privileges", spec.no_new_privileges);
  fields("cap_add", spec.cap_add);
  fields("cap_drop", spec.cap_drop);
  fields("group_add", spec.group_add);
  fields("ulimits", spec.ulimits);
  fields("sysctls", spec.sysctls);
  fields("shm_bytes", spec.shm_bytes);
  fields("pids_limit", spec.pids_limit);
  fields("network", spec.network);
  fields("ports", spec.ports);
  fields("publish_all", spec.publish_all);
  fields("expose", spec.expose);
  fields("dns", spec.dns);
  fields("dns_search", spec.dns_search);
  fields("dns_options", spec.dns_options);
  fields("extra_hosts", spec.extra_hosts);
}
template <class Fields, class Mapping>
  requires std::same_as<std::remove_const_t<Mapping>, PortMapping>
void each_field(Fields& fields, Mapping& mapping) {
  fields("host_address", mapping.host_address);
  fields("host_port", mapping.host_port);
  fields("container_port", mapping.container_port);
  fields("protocol", mapping.protocol);
  fields("last_host_port", mapping.last_host_port);
}
template <class Fields, class Mount>
  requires std::same_as<std::remove_const_t<Mount>, TmpfsMount>
void each_field(Fields& fields, Mount& mount) {
  fields("path", mount.path);
  fields("options", mount.options);
}
template <class Fields, class Policy>
  requires std::same_as<std::remove_const_t<Policy>, RestartPolicy>
void each_field(Fields& fields, Policy& policy) {
  fields("kind", policy.kind);
  fields("max_retries", policy.max_retries);
}
template <class Fields, class Check>
  requires std::same_as<std::remove_const_t<Check>, HealthCheck>
void each_field(Fields& fields, Check& check) {
  fields("command", check.command);
  fields("interval_ns", check.interval);
  fields("timeout_ns", check.timeout);
  fields("start_period_ns", check.start_period);
  fields("retries", check.retries);
}
template <class Fields, class Limit>
  requires std::same_as<std::remove_const_t<Limit>, Ulimit>
void each_field(Fields& fields, Limit& limit) {
  fields("name", limit.name);
  fields("soft", limit.soft);
  fields("hard", limit.hard);
}
template <class Fields, class Limits>
  requires std::same_as<std::remove_const_t<Limits>, LogLimits>
void each_field(Fields& fields, Limits& limits) {
  fields("max_bytes", limits.max_bytes);
  fields("max_files", limits.max_files);
}

template <class T>
concept Number = std::is_arithmetic_v<T> && !std::same_as<T, bool>;

struct Writer {
  json object = json::object();

  template <class T>
  void operator()(const char* name, const T& value) {
    object[name] = write(value);
  }

  static json write(const std::string& text) { return encode_bytes(text); }
  static json write(bool value) { return value; }
  static json write(Number auto value) { return value; }
  static json write(RestartPolicy::Kind kind) { return static_cast<int>(kind); }
  template <class Rep, class Period>
  static json write(std::chrono::duration<Rep, Period> duration) {
    return duration.count();
  }
  template <class T>
  static json write(const std::optional<T>& value) {
    return value ? write(*value) : json();
  }
  template <class T>
  static json write(const std::vector<T>& list) {
    json out = json::array();
    for (const T& entry : list) out.push_back(write(entry));
    return out;
  }
  static json write(const std::map<std::string, std::string>& map) {
    json out = json::array();  // keys need not be UTF-8, either
    for (const auto& [key, value] : map) out.push_back({write(key), write(value)});
    return out;
  }
  template <class T>
    requires std::is_class_v<T>
  static json write(const T& value) {
    Writer writer;
    each_field(writer, value);
    return std::move(writer.object);
  }
};

struct Reader {
  const json& object;
  std::string wrong = {};

  template <class T>
  void operator()(const char* name, T& out) {
    auto found = object.find(name);
    if (found != object.end() && !read(*found, out) && wrong.empty()) wrong = name;
  }

  static bool read(const json& value, std::string& out) { return decode_bytes(value, out); }
  static bool read(const json& value, bool& out) {
    if (!value.is_boolean()) return false;
    out = value.get<bool>();
    return true;
  }
  template <Number T>
  static bool read(const json& value, T& out) {
    if (!value.is_number()) return false;
    out = value.get<T>();
    return true;
  }
  static bool read(const json& value, RestartPolicy::Kind& out) {
    int number = -1;
    if (!read(value, number) || number < 0 || number > static_cast<int>(RestartPolicy::Kind::unless_stopped))
      return false;
    out = static_cast<RestartPolicy::Kind>(number);
    return true;
  }
  template <class Rep, class Period>
  static bool read(const json& value, std::chrono::duration<Rep, Period>& out) {
    int64_t count = 0;
    if (!read(value, count)) return false;
    out = std::chrono::duration<Rep, Period>(count);
    return true;
  }
  template <class T>
  static bool read(const json& value, std::optional<T>& out) {
    if (value.is_null()) {
      out.reset();
      return true;
    }
    return read(value, out.emplace());
  }
  template <class T>
  static bool read(const json& value, std::vector<T>& out) {
    if (!value.is_array()) return false;
    out.clear();
    for (const json& entry : value)
      if (!read(entry, out.emplace_back())) return false;
    return true;
  }
  static bool read(const json& value, std::map<std::string, std::string>& out) {
    if (!value.is_array()) return false;
    out.clear();
    for (const json& entry : value) {
      std::string key;
      if (!entry.is_array() || entry.size() != 2 || !read(entry[0], key) || !read(entry[1], out[key])) return false;
    }
    return true;
  }
  template <class T>
    requires std::is_class_v<T>
  static bool read(const json& value, T& out) {
    if (!value.is_object()) return false;
    Reader reader{value};
    each_field(reader, out);
    return reader.wrong.empty();
  }
};

}  // namespace

std::string encode_spec(const ContainerSpec& spec) { return Writer::write(spec).dump(); }

std::string encode_ports(const std::vector<PortMapping>& ports) { return Writer::write(ports).dump(); }

std::vector<PortMapping> decode_ports(std::string_view text) {
  json document = json::parse(text, nullptr, false);
  std::vector<PortMapping> ports;
  if (!Reader::read(document, ports)) ports.clear();
  return ports;
}

Result<ContainerSpec> decode_spec(std::string_view text) {
  json document = json::parse(text, nullptr, false);
  if (!document.is_object()) return fail(Errc::internal, "read the container's record: its spec is no JSON object");
  ContainerSpec spec;
  Reader reader{document};
  each_field(reader, spec);
  if (!reader.wrong.empty())
    return fail(Errc::internal, "read the container's record: field \"" + reader.wrong + "\" of its spec is damaged");
  return spec;
}

}  // namespace diatom
