#include "capi/options.h"

#include "base/clock.h"
#include "base/size.h"
#include "base/time_text.h"
#include "runtime/json/object_reader.h"
#include "runtime/spec_text.h"

namespace diatom::capi {

namespace {

constexpr std::string_view what = "options";
constexpr auto default_deadline = std::chrono::seconds(5);  // of a guest that is busy with something else

Result<int64_t> time_of(const std::string& text) { return parse_point_in_time(text, wall_clock_ns()); }

Result<std::chrono::milliseconds> duration(const std::string& text) {
  auto parsed = parse_duration(text);
  if (parsed && *parsed >= 0)
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::nanoseconds(*parsed));
  return fail(Errc::invalid_argument, "parse duration \"" + printable(text) + "\"", "write 10s or 1m30s");
}

// "KEY", "KEY=VALUE"
void read_labels(ObjectReader& field, const char* name, auto& out) {
  field.each(name, [&](const std::string& text) -> Result<> {
    size_t equals = text.find('=');
    std::optional<std::string> value;
    if (equals != std::string::npos) value = text.substr(equals + 1);
    out.emplace_back(text.substr(0, equals), std::move(value));
    return {};
  });
}

void read_access(ObjectReader& field, RegistryAccess& access) {
  Credentials credentials;
  field("username", credentials.username);
  field("password", credentials.password);
  field("identity_token", credentials.identity_token);
  if (field.is_there("username") || field.is_there("identity_token")) access.credentials = std::move(credentials);
  field("tls_verify", access.tls_verify);
  field("auth_file", access.auth_file);
  field("cert_dir", access.cert_dir);
}

void read_join(ObjectReader& field, JoinWish& join) {
  field("forward_signals", join.forward_signals);
  field("detach_keys", join.detach_keys);
}

void read_prune(ObjectReader& field, auto& prune) {
  field.parsed("until", prune.until_ns, time_of);
  read_labels(field, "labels", prune.labels);
  read_labels(field, "not_labels", prune.not_labels);
}

template <class Options>
Result<Options> read(std::string_view json, auto fields) {
  Options options{};
  TRY(read_json_object(what, json, [&](ObjectReader& field) { fields(field, options); }));
  return options;
}

}  // namespace

Result<Locations> parse_locations(std::string_view json) {
  return read<Locations>(json, [](ObjectReader& field, Locations& locations) {
    field("home", locations.home);
    field("run", locations.run);
    field("monitor", locations.monitor);
  });
}

Result<EventQuery> parse_event_query(std::string_view json) {
  return read<EventQuery>(json, [](ObjectReader& field, EventQuery& query) {
    field.parsed("since", query.since_ns, time_of);
    field.parsed("until", query.until_ns, time_of);
    field("only_new", query.only_new);
    field("follow", query.follow);
    field.object("filters", [&](ObjectReader& filter) {
      for (const char* key : {"container", "event", "image", "label", "type"}) {
        std::vector<std::string> values;
        filter(key, values);
        if (!values.empty()) query.filters[key] = std::move(values);
      }
    });
  });
}

Result<Credentials> parse_credentials(std::string_view json, RegistryAccess& access) {
  access = TRY(read<RegistryAccess>(json, read_access));
  return access.credentials.value_or(Credentials());
}

Result<PullWish> parse_pull(std::string_view json) {
  return read<PullWish>(json, [](ObjectReader& field, PullWish& wish) {
    field.parsed("policy", wish.pull.policy, parse_pull_policy);
    field("platform", wish.pull.platform);
    field("all_tags", wish.all_tags);
    read_access(field, wish.pull.access);
  });
}

Result<PushOptions> parse_push(std::string_view json) {
  return read<PushOptions>(json, [](ObjectReader& field, PushOptions& push) { read_access(field, push.access); });
}

Result<PruneOptions> parse_image_prune(std::string_view json) {
  return read<PruneOptions>(json, [](ObjectReader& field, PruneOptions& prune) {
    field("all", prune.all);
    read_prune(field, prune);
  });
}

Result<ImportOptions> parse_import(std::string_view json) {
  return read<ImportOptions>(json, [](ObjectReader& field, ImportOptions& import) {
    field("reference", import.reference);
    field("changes", import.changes);
    field("message", import.message);
    field("platform", import.platform);
  });
}

Result<PruneContainers> parse_container_prune(std::string_view json) {
  return read<PruneContainers>(json, [](ObjectReader& field, PruneContainers& prune) { read_prune(field, prune); });
}

Result<bool> parse_flag(std::string_view json, const char* name) {
  return read<bool>(json, [name](ObjectReader& field, bool& flag) { field(name, flag); });
}

Result<JoinWish> parse_join(std::string_view json) { return read<JoinWish>(json, read_join); }

Result<JoinWish> parse_run(std::string_view json) {
  return read<JoinWish>(json, [](ObjectReader& field, JoinWish& join) {
    read_join(field, join);
    field("detach", join.detach);
  });
}

Result<ExecWish> parse_exec(std::string_view json) {
  return read<ExecWish>(json, [](ObjectReader& field, ExecWish& wish) {
    std::map<std::string, std::string> env;
    field("env", env);
    for (const auto& [name, value] : env) wish.spec.env.push_back(name + "=" + value);
    field("working_dir", wish.spec.working_dir);
    field("user", wish.spec.user);
    field("tty", wish.spec.tty);
    field("privileged", wish.spec.privileged);
    read_join(field, wish.join);
  });
}

Result<StopOptions> parse_stop(std::string_view json) {
  return read<StopOptions>(json, [](ObjectReader& field, StopOptions& stop) {
    field.parsed("timeout", stop.timeout, duration);
    field("signal", stop.signal);
  });
}

Result<UpdateOptions> parse_update(std::string_view json) {
  return read<UpdateOptions>(json, [](ObjectReader& field, UpdateOptions& update) {
    field.parsed("cpu", update.cpus, parse_cpus);
    field.parsed("memory", update.memory_bytes, [](const std::string& text) { return parse_size("memory", text); });
    field("pids_limit", update.pids_limit);
    field.parsed("restart", update.restart, parse_restart_policy);
  });
}

Result<CopyOptions> parse_copy(std::string_view json) {
  return read<CopyOptions>(json, [](ObjectReader& field, CopyOptions& copy) {
    field("archive", copy.archive);
    field("follow_link", copy.follow_link);
  });
}

Result<CommitOptions> parse_commit(std::string_view json) {
  return read<CommitOptions>(json, [](ObjectReader& field, CommitOptions& commit) {
    field("reference", commit.reference);
    field("author", commit.author);
    field("message", commit.message);
    field("changes", commit.changes);
    field("pause", commit.pause);
  });
}

Result<LogQuery> parse_logs(std::string_view json) {
  return read<LogQuery>(json, [](ObjectReader& field, LogQuery& query) {
    field("tail", query.tail);
    field.parsed("since", query.since_ns, time_of);
    field.parsed("until", query.until_ns, time_of);
    field("follow", query.follow);
    field("timestamps", query.timestamps);
    field("stdout", query.show_stdout);
    field("stderr", query.show_stderr);
  });
}

Result<std::chrono::milliseconds> parse_stats(std::string_view json) {
  std::chrono::milliseconds deadline = default_deadline;
  TRY(read_json_object(what, json, [&](ObjectReader& field) { field.parsed("deadline", deadline, duration); }));
  return deadline;
}

}  // namespace diatom::capi
