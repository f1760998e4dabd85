// The flags of `run` and `create`: what a container is to be.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "cli/network_flags.h"
#include "cli/transfer_flags.h"
#include "diatom/images.h"
#include "diatom/spec.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace diatom::cli {

struct ContainerFlags {
  ContainerSpec spec;  // what needs no parsing
  std::vector<std::string> env, env_files, tmpfs, labels, label_files;
  std::string entrypoint, memory, cpus, gpu_window;
  std::vector<std::string> command;  // the image, and the program's words
  bool entrypoint_given = false;
  bool gpu = false;

  std::string restart, shm_size, log_driver;
  std::optional<unsigned> stop_timeout;
  std::optional<int64_t> pids_limit;
  std::vector<std::string> ulimits, sysctls, log_options, volumes;
  std::string health_cmd, health_interval, health_timeout, health_start_period;
  std::optional<unsigned> health_retries;
  bool no_healthcheck = false;

  std::string spec_file;                   // a container document
  std::vector<CLI::Option*> said_by_spec;  // which it stands for
  std::optional<PullPolicy> spec_policy;   // what it says
  std::string cidfile;
  std::string pull = "missing";
  std::string platform;
  AccessFlags access;
  NetworkFlags network;
  bool quiet = false;  // about a pull
};

void add_container_flags(CLI::App& verb, ContainerFlags& flags);
// `verb`: "run", for messages. Reads --spec's document.
Result<ContainerSpec> container_spec(ContainerFlags& flags, std::string_view verb);

// "KEY=VALUE"; "KEY" alone takes the value of this process's environment (docker's rule).
Result<std::string> parse_env(const std::string& entry);

// An image that is there costs nothing more: only what was asked for in so many words is pulled first. True: it was.
Result<bool> pull_first(const ContainerSpec& spec, const ContainerFlags& flags);
// After something failed with `error`: pulls the image when it is that which lacks, and may be pulled. True: try again.
Result<bool> pull_if_missing(const ContainerSpec& spec, const ContainerFlags& flags, const Error& error);

}  // namespace diatom::cli
