#include "runtime/monitor/saver.h"

#include <utility>

namespace diatom {

namespace {

using namespace std::chrono_literals;

constexpr auto rest_deadline = 10s;  // for the agent, which has nothing to do but to write what it has begun

}  // namespace

Saver::Saver(EventLoop& loop, Task& task, vm::SaveTarget target, std::function<void(Result<>)> done)
    : loop_(loop), task_(task), target_(std::move(target)), done_(std::move(done)) {
  deadline_ = loop_.after(rest_deadline, [this] {
    deadline_.reset();
    task_.agent().go_on();
    end(fail(Errc::timeout, "save VM: its agent does not come to rest"));
  });
  task_.agent().quiesce([this, there = std::weak_ptr(there_)](const Result<>& rest) {
    if (!there.expired() && deadline_) at_rest(rest);
  });
}

Saver::~Saver() {
  if (deadline_) loop_.cancel(*deadline_);
}

void Saver::at_rest(const Result<>& rest) {
  loop_.cancel(*std::exchange(deadline_, std::nullopt));
  auto save = rest ? task_.begin_saving() : std::unexpected(rest.error());
  if (!save) {
    task_.agent().go_on();
    return end(std::unexpected(save.error()));
  }
  writer_ = std::jthread([this, save = std::move(*save), there = std::weak_ptr(there_)] {
    Result<> result = save(target_);
    loop_.post([this, result, there] {
      if (!there.expired()) written(result);
    });
  });
}

// It has stood still for a while, and its clock with it.
void Saver::written(const Result<>& result) {
  task_.resume_listening();
  task_.agent().go_on();
  task_.ask_clock([this, result, there = std::weak_ptr(there_)](Result<int64_t> offset_ns) {
    if (there.expired()) return;
    if (!offset_ns) return end(result);
    channel::Identity identity{.clock_offset_ns = *offset_ns, .entropy = {}, .hostname = {}, .mac = {}};
    task_.agent().set_identity(identity, [this, result, there](const Result<>&) {
      if (!there.expired()) end(result);
    });
  });
}

// Whoever is told destroys this.
void Saver::end(Result<> result) {
  auto done = std::exchange(done_, nullptr);
  if (done) done(std::move(result));
}

}  // namespace diatom
