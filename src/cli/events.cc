#include <fmt/core.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/text.h"
#include "base/time_text.h"
#include "cli/cancel_on_signal.h"
#include "cli/command.h"
#include "cli/listing.h"
#include "cli/options.h"
#include "diatom/events.h"
#include "runtime/json/documents.h"

namespace diatom::cli {

namespace {

struct Flags {
  std::string since, until, format;
  std::vector<std::string> filters;
  bool json = false;
};

// "2026-11-25T02:00:00.000000000Z container start 0123… (image=busybox, name=web)"
std::string line(const Event& event) {
  std::string attributes;
  for (const auto& [key, value] : event.attributes) attributes += (attributes.empty() ? "" : ", ") + key + "=" + value;
  std::string text = fmt::format("{} {} {}", event.type, event.action, event.actor_id);
  if (!attributes.empty()) text += " (" + attributes + ")";
  return format_rfc3339(event.time_ns) + " " + printable(text, uncut);
}

// The names of docker's templates.
Json template_json(const Event& event) {
  Json api = event_json(event);
  return {{"Type", event.type},     {"Action", event.action}, {"Actor", api["Actor"]},
          {"Scope", api["scope"]},  {"Time", api["time"]},    {"TimeNano", api["timeNano"]},
          {"Status", event.action}, {"ID", event.actor_id},   {"From", api.value("from", "")}};
}

// As docker: without a time, what happens from now on; what has happened, and then what happens, until the time comes.
Result<EventQuery> make_query(const Flags& flags) {
  EventQuery query;
  int64_t now = wall_clock_ns();
  if (!flags.since.empty()) query.since_ns = TRY(parse_point_in_time(flags.since, now));
  if (!flags.until.empty()) query.until_ns = TRY(parse_point_in_time(flags.until, now));
  query.only_new = flags.since.empty() && flags.until.empty();
  query.follow = !query.until_ns || *query.until_ns > now;
  for (const auto& [key, value] : TRY(parse_filters(flags.filters, {"container", "event", "image", "label", "type"})))
    query.filters[key].push_back(value);
  return query;
}

Result<int> events(const Flags& flags) {
  EventQuery query = TRY(make_query(flags));
  bool json = flags.json || flags.format == "json" || flags.format == "{{json .}}";
  std::optional<Template> format;
  if (!json && !flags.format.empty()) format = TRY(Template::parse(flags.format));
  std::optional<Error> error;
  auto print = [&](const Event& event) {
    auto text = json     ? Result<std::string>(print_json(event_json(event)))
                : format ? format->execute(template_json(event))
                         : Result<std::string>(line(event));
    if (!text)
      error = text.error();
    else if (std::fputs((*text + "\n").c_str(), stdout) < 0 || std::fflush(stdout) != 0)
      error = fail_errno("print").error();
    return !error;
  };
  Events source = TRY(Events::open());
  CancelOnSignal guard(source);
  auto result = source.read(query, print);
  if (error) return std::unexpected(*error);
  // Ctrl-C is how following ends.
  if (!result && result.error().code != Errc::cancelled) return std::unexpected(result.error());
  return 0;
}

}  // namespace

void add_events_command(CLI::App& app, Invocation& invocation) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = app.add_subcommand("events", "show what happens to containers and images, until Ctrl-C");
  one(verb->add_option("--since", flags->since, "also what has happened since: a time, or a duration such as 10m"));
  one(verb->add_option("--until", flags->until,
                       "end at that time; one that has passed shows what has happened before"));
  many(verb->add_option("-f,--filter", flags->filters,
                        "type=, event=ACTION, container=, image=, label=KEY[=VALUE] (several times)"));
  one(verb->add_option("--format", flags->format,
                       "json, or a template: {{.Type}} {{.Action}} {{.Actor.ID}}, as docker's"));
  verb->add_flag("--json", flags->json, "the same as --format json: an object a line");
  verb->callback([&invocation, flags] { invocation.run = [flags] { return events(*flags); }; });
}

}  // namespace diatom::cli
