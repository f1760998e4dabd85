#include "vm/krun/vmm_config.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "vm/krun/disk_files.h"
#include "vm/vmdk.h"

namespace diatom::vm {

using nlohmann::json;

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(VmmDisk, serial, files, descriptor, read_only, ephemeral)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(PortForward, protocol, host_address, host_port, guest_port)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(UserNetwork, mac, network, prefix, gateway, resolver, guest_address, forwards)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(HostSockets, forwards)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Gpu, window_bytes)

namespace {

template <class T>
void put(json& document, const char* name, const std::optional<T>& value) {
  if (value) document[name] = *value;
}

template <class T>
void get(const json& document, const char* name, std::optional<T>& value) {
  if (document.contains(name)) value = document.at(name).get<T>();
}

}  // namespace

VmmConfig make_vmm_config(const MachineSpec& spec, std::string library, std::string kernel_library) {
  VmmConfig config{.library = std::move(library),
                   .kernel_library = std::move(kernel_library),
                   .root_directory = spec.kernel.agent_directory.string(),
                   .vcpus = spec.vcpus,
                   .memory_bytes = spec.memory_bytes,
                   .disks = {},
                   .files_directory = files_directory(spec).string(),
                   .channel_socket = spec.channel_socket.string(),
                   .network = spec.network,
                   .host_sockets = spec.host_sockets,
                   .gpu = spec.gpu};
  for (const Disk& disk : spec.disks) {
    VmmDisk made{
        .serial = disk.serial, .files = {}, .descriptor = {}, .read_only = disk.read_only, .ephemeral = disk.ephemeral};
    for (const DiskExtent& extent : disk.extents) made.files.push_back(extent.path.string());
    if (made.files.size() != 1) made.descriptor = vmdk_path(spec, disk).string();
    config.disks.push_back(std::move(made));
  }
  return config;
}

std::vector<std::string> agent_arguments(const VmmConfig& config, bool disks_are_files) {
  std::vector<std::string> arguments = {"channel=vsock:" + std::to_string(krun_channel_port)};
  if (!config.network && !config.host_sockets) arguments.emplace_back("nic=none");
  if (disks_are_files) {
    arguments.emplace_back("disks=files");
    return arguments;
  }
  char letter = 'a';
  for (const VmmDisk& disk : config.disks) arguments.push_back("disk=" + disk.serial + ":vd" + letter++);
  return arguments;
}

std::string encode_vmm_config(const VmmConfig& config) {
  json document = {{"library", config.library},
                   {"kernel_library", config.kernel_library},
                   {"root_directory", config.root_directory},
                   {"vcpus", config.vcpus},
                   {"memory_bytes", config.memory_bytes},
                   {"disks", config.disks},
                   {"files_directory", config.files_directory},
                   {"channel_socket", config.channel_socket}};
  put(document, "network", config.network);
  put(document, "host_sockets", config.host_sockets);
  put(document, "gpu", config.gpu);
  return document.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

Result<VmmConfig> decode_vmm_config(std::string_view text) {
  try {
    json document = json::parse(text);
    VmmConfig config;
    document.at("library").get_to(config.library);
    document.at("kernel_library").get_to(config.kernel_library);
    document.at("root_directory").get_to(config.root_directory);
    document.at("vcpus").get_to(config.vcpus);
    document.at("memory_bytes").get_to(config.memory_bytes);
    document.at("disks").get_to(config.disks);
    document.at("files_directory").get_to(config.files_directory);
    document.at("channel_socket").get_to(config.channel_socket);
    get(document, "network", config.network);
    get(document, "host_sockets", config.host_sockets);
    get(document, "gpu", config.gpu);
    return config;
  } catch (const json::exception& error) {
    return fail(Errc::internal, std::string("read the VM's configuration: ") + error.what());
  }
}

std::string encode_vmm_error(const Error& error) {
  return print_json(Json{{"error", errc_name(error.code)}, {"message", error.message}, {"hint", error.hint}});
}

std::optional<Error> decode_vmm_error(std::string_view words) {
  size_t line = words.rfind('\n');
  Json document = parse_foreign_json(line == std::string_view::npos ? words : words.substr(line + 1));
  if (!document.is_object() || !document.contains("error")) return std::nullopt;
  auto word = [&](const char* name) {
    return document.contains(name) && document[name].is_string() ? document[name].get<std::string>() : "";
  };
  Error error{Errc::start_failed, word("message"), word("hint")};
  for (int code = 0; code <= static_cast<int>(Errc::internal); ++code)
    if (errc_name(static_cast<Errc>(code)) == word("error")) error.code = static_cast<Errc>(code);
  return error;
}

}  // namespace diatom::vm
