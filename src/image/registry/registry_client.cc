#include "image/registry/registry_client.h"

#include <fmt/format.h>

#include <map>
#include <mutex>
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "base/json_shape.h"
#include "image/registry/blob_source.h"
#include "image/registry/credential_store.h"
#include "image/registry/manifest_reply.h"
#include "image/registry/range.h"
#include "image/registry/requester.h"
#include "image/registry/url.h"

namespace diatom::image {

using nlohmann::json;

namespace {

constexpr unsigned most_document_attempts = 3;

constexpr size_t largest_tag_page = 4 << 20;
constexpr size_t most_tags = 100'000;
constexpr int most_uploads = 3;  // of one blob

}  // namespace

struct RegistryClient::Impl {
  Impl(const oci::Reference& r, Access w, const CancelToken& cancel) : repository(r), wanted(w), sessions(cancel) {}

  const oci::Reference repository;
  const Access wanted;
  SessionPool sessions;                              // outlives everything that leases
  std::vector<std::unique_ptr<Endpoint>> endpoints;  // the registry itself is the last
  std::mutex lock;
  std::map<oci::Digest, std::string> opened_uploads;  // by mount_blob(), for put_blob(); guarded by `lock`

  Endpoint& registry() { return *endpoints.back(); }

  ApiCall call(std::string verb, std::string method, std::string tail) const {
    ApiCall made;
    made.what = fmt::format("{} {}/{}", verb, repository.registry, repository.repository);
    made.method = std::move(method);
    made.repository = repository.repository;
    made.tail = std::move(tail);
    made.actions = wanted == Access::push ? "pull,push" : "pull";
    return made;
  }

  Result<ApiAnswer> ask(Endpoint& endpoint, const ApiCall& made) {
    RetryBudget budget(sessions.cancel(), limits_for(endpoint.config));
    return send(sessions, endpoint, made, budget);
  }
  Result<ApiAnswer> ask_registry(const ApiCall& made) { return ask(registry(), made); }

  // Asks one endpoint after the other until one has what `use` accepts. The last one's error counts.
  template <class T, class Use>
  Result<T> ask_in_turn(const ApiCall& made, Use use) {
    for (size_t i = 0;; ++i) {
      auto answer = ask(*endpoints[i], made);
      Result<T> result = answer ? use(*endpoints[i], *answer) : std::unexpected(answer.error());
      bool last = i + 1 == endpoints.size();
      if (result || last || result.error().code == Errc::cancelled) return result;
    }
  }

  // Of a manifest's GET.
  Result<ManifestDocument> read_manifest(Endpoint& endpoint, const ApiCall& made, std::string_view reference,
                                         ApiAnswer& answer) {
    if (answer.head.status != 200) return std::unexpected(explain_answer(endpoint, made, answer));
    auto bytes = answer.session->read_all(largest_manifest);
    if (!bytes) return std::unexpected(explain_failure(endpoint, made, bytes.error()));
    auto document = check_manifest(reference, answer.head, std::move(*bytes));
    if (!document) return std::unexpected(explain_failure(endpoint, made, final_failure(document.error())));
    return document;
  }

  // A place to send a blob to.
  Result<std::string> open_upload(const oci::Digest& digest);
  Result<> send_blob(const oci::Descriptor& blob, const BlobOpener& open, const std::function<void(uint64_t)>& on_sent,
                     const std::string& location, RetryBudget& budget);
  Result<std::string> upload_location(const ApiCall& made, const ApiAnswer& answer) {
    auto location = answer.head.headers.get("location");
    auto url = location ? resolve_url(answer.url, std::string(*location)) : std::nullopt;
    if (!url) return fail(Errc::image_pull, made.what + ": the registry names no place for the upload");
    return *url;
  }
};

RegistryClient::RegistryClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RegistryClient::~RegistryClient() = default;

Result<std::unique_ptr<RegistryClient>> RegistryClient::open(const oci::Reference& repository, Access wanted,
                                                             const RegistryAccess& access, const CancelToken& cancel) {
  auto impl = std::make_unique<Impl>(repository, wanted, cancel);
  for (auto& config : TRY(plan_endpoints(repository.registry, access, wanted == Access::pull))) {
    bool given = access.credentials.has_value() && !config.mirror;
    auto find = [given, access, &cancel, host = config.host,
                 name = repository.repository]() -> Result<std::optional<Credentials>> {
      if (given) return access.credentials;
      return CredentialStore(access.auth_file, cancel).find(host, name);
    };
    impl->endpoints.push_back(std::make_unique<Endpoint>(std::move(config), impl->sessions, std::move(find)));
  }
  return std::unique_ptr<RegistryClient>(new RegistryClient(std::move(impl)));
}

Result<oci::Descriptor> RegistryClient::resolve(std::string_view reference) {
  ApiCall made =
      impl_->call(fmt::format("look up manifest {} of", reference), "HEAD", fmt::format("manifests/{}", reference));
  made.headers = {manifest_accept()};
  auto use = [&](Endpoint& endpoint, ApiAnswer& answer) -> Result<oci::Descriptor> {
    auto announced = answer.head.headers.get("docker-content-digest");
    auto digest = announced ? oci::Digest::parse(*announced) : Result<oci::Digest>(oci::Digest());
    auto length = answer.head.headers.get("content-length");
    auto size = length ? parse_content_length(*length) : std::nullopt;
    bool enough = answer.head.status == 200 && digest && !digest->empty() && size;
    // 404 has no body to explain it, but is certain; everything else GET can tell better.
    if (!enough && answer.head.status != 404) {
      ApiCall get = made;
      get.method = "GET";
      auto whole = TRY(impl_->ask(endpoint, get));
      auto document = TRY(impl_->read_manifest(endpoint, get, reference, whole));
      return oci::Descriptor{document.media_type, document.digest, document.bytes.size(), {}, {}};
    }
    if (!enough) return std::unexpected(explain_answer(endpoint, made, answer));
    if (reference.starts_with("sha256:") && digest->text() != reference)
      return fail(Errc::image_pull, fmt::format("{}: the registry announces {}", made.what, digest->text()));
    auto media_type = manifest_media_type(answer.head.headers.get("content-type"), "");
    if (!media_type) return std::unexpected(explain_failure(endpoint, made, final_failure(media_type.error())));
    return oci::Descriptor{*media_type, *digest, *size, {}, {}};
  };
  return impl_->ask_in_turn<oci::Descriptor>(made, use);
}

Result<ManifestDocument> RegistryClient::get_manifest(std::string_view reference) {
  ApiCall made =
      impl_->call(fmt::format("fetch manifest {} of", reference), "GET", fmt::format("manifests/{}", reference));
  made.headers = {manifest_accept()};
  // A document that breaks off, or comes damaged, is asked for again; whatever else is wrong has been tried often
  // enough.
  for (unsigned attempt = 1;; ++attempt) {
    bool began = false;
    auto document = impl_->ask_in_turn<ManifestDocument>(made, [&](Endpoint& endpoint, ApiAnswer& answer) {
      began = answer.head.status == 200;
      return impl_->read_manifest(endpoint, made, reference, answer);
    });
    if (document || !began || attempt == most_document_attempts || document.error().code != Errc::image_pull)
      return document;
  }
}

Result<std::vector<std::string>> RegistryClient::list_tags() {
  ApiCall made = impl_->call("list tags of", "GET", "tags/list?n=1000");
  std::vector<std::string> tags;
  std::string seen;
  for (;;) {
    ApiAnswer answer = TRY(impl_->ask_registry(made));
    if (answer.head.status != 200) return std::unexpected(explain_answer(impl_->registry(), made, answer));
    auto body = answer.session->read_all(largest_tag_page);
    if (!body) return std::unexpected(explain_failure(impl_->registry(), made, body.error()));
    json document = json_is_excessive(*body) ? json() : json::parse(*body, nullptr, false);
    if (!document.is_object()) return fail(Errc::image_pull, made.what + ": the answer is no JSON object");
    if (auto list = document.find("tags"); list != document.end() && list->is_array())
      for (const auto& tag : *list)
        if (tag.is_string()) tags.push_back(tag.get<std::string>());
    auto link = answer.head.headers.get("link");
    auto next = link ? next_link(*link) : std::nullopt;
    auto url = next ? resolve_url(answer.url, *next) : std::nullopt;
    if (!url) return tags;
    if (*url == seen || tags.size() > most_tags) return fail(Errc::image_pull, made.what + ": the list has no end");
    made.url = seen = *url;
  }
}

Result<std::unique_ptr<rootfs::ByteSource>> RegistryClient::get_blob(const oci::Descriptor& blob,
                                                                     RetryHandler on_retry) {
  return open_blob_source(impl_->sessions, impl_->endpoints, impl_->repository, blob, std::move(on_retry));
}

Result<bool> RegistryClient::has_blob(const oci::Digest& digest) {
  ApiCall made = impl_->call("look up blob " + digest.text() + " of", "HEAD", "blobs/" + digest.text());
  ApiAnswer answer = TRY(impl_->ask_registry(made));
  if (answer.head.status == 200) return true;
  if (answer.head.status == 404) return false;
  return std::unexpected(explain_answer(impl_->registry(), made, answer));
}

Result<bool> RegistryClient::mount_blob(const oci::Digest& digest, const std::string& from_repository) {
  ApiCall made = impl_->call(fmt::format("mount blob {} from {} into", digest.text(), from_repository), "POST",
                             with_query(with_query("blobs/uploads/", "mount", digest.text()), "from", from_repository));
  made.extra_scope = "repository:" + from_repository + ":pull";
  made.open_body = [] { return std::make_unique<StringSource>(""); };
  ApiAnswer answer = TRY(impl_->ask_registry(made));
  if (answer.head.status == 201) return true;
  if (answer.head.status != 202) return std::unexpected(explain_answer(impl_->registry(), made, answer));
  // The registry has opened an upload instead, which will do for the blob itself.
  std::string location = TRY(impl_->upload_location(made, answer));
  std::lock_guard guard(impl_->lock);
  impl_->opened_uploads[digest] = std::move(location);
  return false;
}

Result<std::string> RegistryClient::Impl::open_upload(const oci::Digest& digest) {
  {
    std::lock_guard guard(lock);
    if (auto opened = opened_uploads.extract(digest)) return opened.mapped();
  }
  ApiCall made = call("open an upload of " + digest.text() + " to", "POST", "blobs/uploads/");
  made.open_body = [] { return std::make_unique<StringSource>(""); };
  ApiAnswer answer = TRY(ask_registry(made));
  if (answer.head.status != 202) return std::unexpected(explain_answer(registry(), made, answer));
  return upload_location(made, answer);
}

Result<> RegistryClient::Impl::send_blob(const oci::Descriptor& blob, const BlobOpener& open,
                                         const std::function<void(uint64_t)>& on_sent, const std::string& location,
                                         RetryBudget& budget) {
  ApiCall made = call("send blob " + blob.digest.text() + " to", "PUT", "");
  made.url = with_query(location, "digest", blob.digest.text());
  made.headers = {"Content-Type: application/octet-stream"};
  made.open_body = open;
  made.body_bytes = blob.size;
  made.on_sent = on_sent;
  ApiAnswer answer = TRY(send(sessions, registry(), made, budget));
  if (answer.head.status == 201 || answer.head.status == 204) return {};
  return std::unexpected(explain_answer(registry(), made, answer));
}

Result<> RegistryClient::put_blob(const oci::Descriptor& blob, const BlobOpener& open,
                                  const std::function<void(uint64_t)>& on_sent) {
  // What is wrong with our own content is not mended by sending it again.
  std::optional<Error> own;
  auto noting_open = [&]() -> Result<std::unique_ptr<rootfs::ByteSource>> {
    auto source = open();
    if (!source) own = source.error();
    return source;
  };
  RetryBudget between(impl_->sessions.cancel());
  for (int attempt = 1;; ++attempt) {
    std::string location = TRY(impl_->open_upload(blob.digest));
    // An upload that broke is spoiled: each has one request.
    RetryBudget once(impl_->sessions.cancel(), {.attempts = 1});
    auto sent = impl_->send_blob(blob, noting_open, on_sent, location, once);
    if (sent || own || sent.error().code == Errc::cancelled || attempt == most_uploads) return sent;
    if (!TRY(between.wait(std::nullopt))) return sent;
  }
}

Result<oci::Digest> RegistryClient::put_manifest(std::string_view reference, std::string_view media_type,
                                                 std::string_view bytes) {
  ApiCall made =
      impl_->call(fmt::format("send manifest {} to", reference), "PUT", fmt::format("manifests/{}", reference));
  made.headers = {fmt::format("Content-Type: {}", media_type)};
  made.open_body = [bytes] { return std::make_unique<StringSource>(std::string(bytes)); };
  made.body_bytes = bytes.size();
  ApiAnswer answer = TRY(impl_->ask_registry(made));
  if (answer.head.status != 201 && answer.head.status != 200)
    return std::unexpected(explain_answer(impl_->registry(), made, answer));
  auto own = oci::Digest::from_hex(sha256_hex(bytes));
  if (auto given = answer.head.headers.get("docker-content-digest");
      given && given->starts_with("sha256:") && *given != own.text())
    return fail(Errc::image_pull,
                fmt::format("{}: the registry gave it another digest than {}", made.what, own.text()));
  return own;
}

}  // namespace diatom::image
