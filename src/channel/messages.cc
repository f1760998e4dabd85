#include "channel/messages.h"

#include <nlohmann/json.hpp>

namespace diatom::channel {

namespace {

using nlohmann::json;

// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    auto byte = static_cast<unsigned char>(text[i]);
    size_t more = byte < 0x80                   ? 0
                  : byte >= 0xC2 && byte < 0xE0 ? 1
                  : byte >= 0xE0 && byte < 0xF0 ? 2
                  : byte >= 0xF0 && byte < 0xF5 ? 3
                                                : 4;
    if (more == 4 || i + more >= text.size()) return false;
    for (size_t k = 1; k <= more; ++k)
      if ((static_cast<unsigned char>(text[i + k]) & 0xC0) != 0x80) return false;
    auto second = more > 0 ? static_cast<unsigned char>(text[i + 1]) : 0;
    if ((byte == 0xE0 && second < 0xA0) || (byte == 0xED && second > 0x9F) || (byte == 0xF0 && second < 0x90) ||
        (byte == 0xF4 && second > 0x8F))
      return false;
    i += more + 1;
  }
  return true;
}

// Bytes that are no UTF-8 travel as {"hex": "…"}.
json encode_bytes(std::string_view bytes) {
  if (is_utf8(bytes)) return json(bytes);
  static constexpr char digits[] = "0123456789abcdef";
  std::string hex;
  for (char c : bytes) {
    hex += digits[static_cast<unsigned char>(c) >> 4];
    hex += digits[static_cast<unsigned char>(c) & 15];
  }
  return json{{"hex", hex}};
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool decode_bytes(const json& value, std::string& out) {
  if (value.is_string()) {
    out = value.get_ref<const std::string&>();
    return true;
  }
  auto found = value.is_object() ? value.find("hex") : value.end();
  if (!value.is_object() || found == value.end() || !found->is_string()) return false;
  const auto& hex = found->get_ref<const std::string&>();
  if (hex.size() % 2 != 0) return false;
  out.clear();
  for (size_t i = 0; i < hex.size(); i += 2) {
    int high = hex_value(hex[i]);
    int low = hex_value(hex[i + 1]);
    if (high < 0 || low < 0) return false;
    out += static_cast<char>(high * 16 + low);
  }
  return true;
}

json encode_list(const std::vector<std::string>& list) {
  json out = json::array();
  for (const auto& entry : list) out.push_back(encode_bytes(entry));
  return out;
}

// Reads fields of one object; remembers the first that is wrong. A missing field keeps its default.
class Reader {
 public:
  Reader(std::string_view what, const json& object) : what_(what), object_(object) {
    if (!object_.is_object()) wrong_ = "it is no JSON object";
  }

  void read(const char* name, std::string& out) {
    if (const json* value = find(name); value != nullptr && !decode_bytes(*value, out)) wrong(name);
  }
  void read(const char* name, bool& out) {
    const json* value = find(name);
    if (value == nullptr) return;
    if (value->is_boolean())
      out = value->get<bool>();
    else
      wrong(name);
  }
  template <class Integer>
    requires std::is_integral_v<Integer>
  void read(const char* name, Integer& out) {
    const json* value = find(name);
    if (value == nullptr) return;
    if (value->is_number_unsigned() && std::in_range<Integer>(value->get<uint64_t>()))
      out = static_cast<Integer>(value->get<uint64_t>());
    else
      wrong(name);
  }
  template <class Integer>
    requires std::is_integral_v<Integer>
  void read(const char* name, std::vector<Integer>& out) {
    const json* value = find(name);
    if (value == nullptr) return;
    out.clear();
    if (!value->is_array()) return wrong(name);
    for (const json& entry : *value) {
      if (!entry.is_number_unsigned() || !std::in_range<Integer>(entry.get<uint64_t>())) return wrong(name);
      out.push_back(static_cast<Integer>(entry.get<uint64_t>()));
    }
  }
  void read(const char* name, std::vector<std::string>& out) {
    const json* value = find(name);
    if (value == nullptr) return;
    out.clear();
    if (!value->is_array()) return wrong(name);
    for (const json& entry : *value)
      if (!decode_bytes(entry, out.emplace_back())) return wrong(name);
  }
  const json* find(const char* name) const {
    if (!object_.is_object()) return nullptr;
    auto found = object_.find(name);
    return found == object_.end() ? nullptr : &*found;
  }
  void wrong(const char* name) {
    if (wrong_.empty()) wrong_ = std::string("field \"") + name + "\" is of the wrong kind";
  }
  Result<> result() const {
    if (wrong_.empty()) return {};
    return fail(Errc::invalid_argument, "read " + what_ + ": " + wrong_);
  }

 private:
  std::string what_;
  const json& object_;  // borrowed: a copy recurses as deep as the sender has nested
  std::string wrong_;
};

json encode_network(const NetworkConfig& network) {
  return {{"interface", encode_bytes(network.interface)},
          {"address", encode_bytes(network.address)},
          {"prefix", network.prefix},
          {"gateway", encode_bytes(network.gateway)},
          {"resolver", encode_bytes(network.resolver)},
          {"published_udp", network.published_udp}};
}

Result<NetworkConfig> decode_network(const json& document) {
  NetworkConfig network;
  Reader reader("network", document);
  reader.read("interface", network.interface);
  reader.read("address", network.address);
  reader.read("prefix", network.prefix);
  reader.read("gateway", network.gateway);
  reader.read("resolver", network.resolver);
  reader.read("published_udp", network.published_udp);
  TRY(reader.result());
  if (network.prefix > 32) return fail(Errc::invalid_argument, "read network: \"prefix\" is more than 32");
  return network;
}

json parse_json(std::string_view text) { return json::parse(text, nullptr, false); }

}  // namespace

std::string encode(const ContainerConfig& config) {
  json tmpfs = json::array();
  for (const auto& mount : config.tmpfs)
    tmpfs.push_back({{"path", encode_bytes(mount.path)}, {"options", encode_bytes(mount.options)}});
  json document = {{"hostname", encode_bytes(config.hostname)},
                   {"resolv_conf", encode_list(config.resolv_conf)},
                   {"extra_hosts", encode_list(config.extra_hosts)},
                   {"read_only", config.read_only},
                   {"has_upper", config.has_upper},
                   {"tmpfs", tmpfs},
                   {"shm_bytes", config.shm_bytes},
                   {"cpu_quota_us", config.cpu_quota_us},
                   {"pids_max", config.pids_max}};
  if (config.network) document["network"] = encode_network(*config.network);
  return document.dump();
}

std::string encode(const ProcessConfig& config) {
  return json{{"argv", encode_list(config.argv)},
              {"env", encode_list(config.env)},
              {"cwd", encode_bytes(config.cwd)},
              {"user", encode_bytes(config.user)},
              {"tty", config.tty},
              {"rows", config.rows},
              {"cols", config.cols},
              {"open_stdin", config.open_stdin}}
      .dump();
}

std::string encode(const ExitReport& report) {
  return json{{"code", report.code}, {"signal", report.signal}, {"oom_killed", report.oom_killed}}.dump();
}

std::string encode(const StartFailure& failure) {
  return json{{"exit_code", failure.exit_code}, {"message", encode_bytes(failure.message)}}.dump();
}

Result<ContainerConfig> decode_container_config(std::string_view text) {
  ContainerConfig config;
  json document = parse_json(text);
  Reader reader("container config", document);
  reader.read("hostname", config.hostname);
  reader.read("resolv_conf", config.resolv_conf);
  reader.read("extra_hosts", config.extra_hosts);
  reader.read("read_only", config.read_only);
  reader.read("has_upper", config.has_upper);
  reader.read("shm_bytes", config.shm_bytes);
  reader.read("cpu_quota_us", config.cpu_quota_us);
  reader.read("pids_max", config.pids_max);
  if (const json* list = reader.find("tmpfs")) {
    if (!list->is_array()) reader.wrong("tmpfs");
    for (const json& entry : *list) {
      Reader mount("tmpfs", entry);
      mount.read("path", config.tmpfs.emplace_back().path);
      mount.read("options", config.tmpfs.back().options);
      TRY(mount.result());
    }
  }
  if (const json* network = reader.find("network")) config.network = TRY(decode_network(*network));
  TRY(reader.result());
  return config;
}

Result<ProcessConfig> decode_process_config(std::string_view text) {
  ProcessConfig config;
  json document = parse_json(text);
  Reader reader("process config", document);
  reader.read("argv", config.argv);
  reader.read("env", config.env);
  reader.read("cwd", config.cwd);
  reader.read("user", config.user);
  reader.read("tty", config.tty);
  reader.read("rows", config.rows);
  reader.read("cols", config.cols);
  reader.read("open_stdin", config.open_stdin);
  TRY(reader.result());
  if (config.argv.empty() || config.argv.front().empty())
    return fail(Errc::invalid_argument, "read process config: \"argv\" names no program");
  return config;
}

Result<ExitReport> decode_exit_report(std::string_view text) {
  ExitReport report;
  json document = parse_json(text);
  Reader reader("exit report", document);
  reader.read("code", report.code);
  reader.read("signal", report.signal);
  reader.read("oom_killed", report.oom_killed);
  TRY(reader.result());
  if (report.code > 255 || report.signal > 64)
    return fail(Errc::invalid_argument, "read exit report: a code or a signal is out of range");
  return report;
}

Result<StartFailure> decode_start_failure(std::string_view text) {
  StartFailure failure;
  json document = parse_json(text);
  Reader reader("start failure", document);
  reader.read("exit_code", failure.exit_code);
  reader.read("message", failure.message);
  TRY(reader.result());
  if (failure.exit_code < 125 || failure.exit_code > 127) failure.exit_code = 125;
  return failure;
}

}  // namespace diatom::channel
