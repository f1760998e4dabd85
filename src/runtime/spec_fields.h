// The fields of a spec that are the same thing wherever it is JSON: in the container's record (spec_record.cc) and in a
// document of a caller's (json/container_request.cc). `field` reads or writes one.
#pragma once

namespace diatom {

constexpr auto plain_spec_fields = [](auto& field, auto& spec) {
  field("hostname", spec.hostname);
  field("tty", spec.tty);
  field("open_stdin", spec.open_stdin);
  field("stdin_once", spec.stdin_once);
  field("read_only", spec.read_only);
  field("network", spec.network);
  field("publish_all", spec.publish_all);
  field("expose", spec.expose);
  field("dns", spec.dns);
  field("dns_search", spec.dns_search);
  field("dns_options", spec.dns_options);
  field("extra_hosts", spec.extra_hosts);
  field("engine", spec.engine);
  field("no_template", spec.no_template);
  field("auto_remove", spec.auto_remove);
  field("stop_signal", spec.stop_signal);
  field("init", spec.init);
  field("privileged", spec.privileged);
  field("no_new_privileges", spec.no_new_privileges);
  field("cap_add", spec.cap_add);
  field("cap_drop", spec.cap_drop);
  field("group_add", spec.group_add);
  field("sysctls", spec.sysctls);
  field("pids_limit", spec.pids_limit);
};

}  // namespace diatom
