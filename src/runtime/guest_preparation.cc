#include "runtime/guest_preparation.h"

#include <chrono>
#include <functional>
#include <optional>
#include <utility>

#include "base/event_loop.h"
#include "channel/agent_client.h"
#include "runtime/plan.h"

namespace diatom {

namespace {

using namespace std::chrono_literals;

constexpr auto deadline = 20s;
constexpr auto look_again = 100ms;  // whether it is still wanted

Result<> ask_agent(const channel::Preparation& preparation, UniqueFd channel, const CancelToken& cancel) {
  auto loop = TRY(EventLoop::create());
  std::optional<Result<>> done;
  auto end = [&](Result<> result) {
    if (!done) done = std::move(result);
    loop->stop();
  };
  auto agent = TRY(
      channel::AgentClient::connect(*loop, std::move(channel), [&](const Error& lost) { end(std::unexpected(lost)); }));
  agent->prepare(preparation, [&](Result<> prepared) {
    if (!prepared) return end(std::move(prepared));
    agent->quiesce(end);
  });
  loop->after(deadline, [&] { end(fail(Errc::timeout, "prepare a container: the guest does not answer")); });
  std::function<void()> look = [&] {
    if (auto wanted = cancel.check(); !wanted) return end(std::move(wanted));
    loop->after(look_again, look);
  };
  look();
  if (!done) TRY(loop->run());
  return done ? *done : fail(Errc::cancelled, "prepare a container: interrupted");
}

}  // namespace

vm::GuestPreparation prepare_guest(const channel::ContainerConfig& container, const ResolvedImage& image) {
  channel::Preparation preparation;
  preparation.container.has_upper = container.has_upper;
  if (container.network) {
    preparation.container.network = container.network;
    preparation.container.network->mac.clear();
    preparation.container.network->published_udp.clear();
  }
  preparation.program = plan_command(ContainerSpec(), image.defaults).front();
  preparation.env = plan_env(ContainerSpec(), image.defaults, "");
  return {.name = image.id,
          .text = channel::encode(preparation),
          .run = [preparation](UniqueFd channel, const CancelToken& cancel) {
            return ask_agent(preparation, std::move(channel), cancel);
          }};
}

}  // namespace diatom
