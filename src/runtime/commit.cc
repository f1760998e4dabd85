// A new image of a container and what it has changed.
#include <chrono>
#include <memory>
#include <utility>

#include "diatom/runtime.h"
#include "image/commit.h"
#include "runtime/container_events.h"
#include "runtime/control_client.h"
#include "runtime/runtime_impl.h"
#include "runtime/spec_json.h"
#include "runtime/spec_record.h"

namespace diatom {

namespace {

// Its programs stand still for as long as this lives: the monitor lets them go on when the connection ends, however
// that comes about.
class Held {
 public:
  static Result<std::unique_ptr<Held>> hold(const Interrupt& interrupt, UniqueFd socket) {
    auto waiter = TRY(Waiter<bool>::create(interrupt));
    std::unique_ptr<Held> held(new Held(std::move(waiter)));
    held->client_ = TRY(ControlClient::connect(held->waiter_->loop(), std::move(socket), [](const Error&) {}));
    held->client_->hold([raw = held->waiter_.get()](Result<> result) {
      result ? raw->done(true) : raw->done(std::unexpected(result.error()));
    });
    static_cast<void>(TRY(held->waiter_->wait()));
    return held;
  }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  Held(Held&&) = delete;
  Held& operator=(Held&&) = delete;
  // In order, so that they go on when this returns. A connection that breaks is as good.
  ~Held() {
    EventLoop& loop = waiter_->loop();
    bool released = false;
    auto deadline = loop.after(release_deadline, [&] { loop.stop(); });
    client_->release([&] {
      released = true;
      loop.stop();
    });
    if (!released) [[maybe_unused]]
      auto ignored = loop.run();
    loop.cancel(deadline);
  }

 private:
  static constexpr auto release_deadline = std::chrono::seconds(10);
  explicit Held(std::unique_ptr<Waiter<bool>> waiter) : waiter_(std::move(waiter)) {}
  std::unique_ptr<Waiter<bool>> waiter_;
  std::unique_ptr<ControlClient> client_;  // goes first
};

}  // namespace

Result<CommittedImage> Runtime::commit(std::string_view reference, const CommitOptions& options) {
  TRY(image::check_commit(options));
  store::ContainerRecord container = TRY(impl_->find_true(reference));
  ContainerSpec spec = TRY(decode_spec(container.wanted));
  image::CommitInput input{
      .parent = "sha256:" + container.image, .spec = spec, .command = command_of(container.spec), .options = options};
  CommittedImage image;
  CancelToken cancel;
  std::unique_ptr<Held> held;
  if (options.pause && container.state == "running") {
    UniqueFd socket = TRY(impl_->connect(container, "pause"));
    held = TRY(Held::hold(*impl_->interrupt, std::move(socket)));
  }
  auto warnings = impl_->run_tool(container, "commit",
                                  {.tool = "layer",
                                   .words = {"/"},
                                   .receive = [&](int fd) -> Result<> {
                                     auto id = image::commit_image(*impl_->store, input, fd, cancel);
                                     if (id) image.id = std::move(*id);
                                     return id ? Result<>() : Result<>(std::unexpected(id.error()));
                                   },
                                   .send = {},
                                   .on_cancel = [&] { cancel.cancel(); }});
  held.reset();
  if (!warnings) {
    [[maybe_unused]] auto ignored = impl_->store->sweep();
    return std::unexpected(warnings.error());
  }
  image.warnings = std::move(*warnings);
  record_container_event(*impl_->store, "commit", container,
                         {{"comment", options.message}, {"imageID", image.id}, {"imageRef", options.reference}});
  return image;
}

}  // namespace diatom
