#include "image/registry/http.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "image/registry/libcurl.h"
#include "image/registry/retry.h"
#include "image/registry/url.h"

namespace diatom::image {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// A piece of libcurl's (CURL_MAX_WRITE_SIZE): what comes while nobody waits is copied once more, so better let it wait.
constexpr size_t most_buffered = 16 << 10;
constexpr size_t most_head_bytes = 256 << 10;
constexpr long transfer_block = 256L << 10;
constexpr int look_at_token_ms = 100;  // a signal handler sets it and cannot wake us
// Fewer bytes than this within the patience, and the connection counts as dead.
constexpr uint64_t least_bytes = 4096;
constexpr seconds patience_for_body{30};
constexpr seconds patience_for_head{60};
constexpr seconds patience_for_upload{120};  // a registry may copy and verify a blob before it answers

struct FreeEasy {
  void operator()(CURL* easy) const { libcurl().easy_cleanup(easy); }
};
struct FreeMulti {
  void operator()(CURLM* multi) const { libcurl().multi_cleanup(multi); }
};
struct FreeList {
  void operator()(curl_slist* list) const { libcurl().slist_free_all(list); }
};

HttpFault fault_of(CURLcode code, std::string_view text) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
      return HttpFault::unreachable;
    case CURLE_SSL_CONNECT_ERROR:
      // OpenSSL's words for an answer that is no TLS record.
      if (text.find("wrong version number") != std::string_view::npos ||
          text.find("packet length too long") != std::string_view::npos ||
          text.find("http request") != std::string_view::npos)
        return HttpFault::no_tls;
      return HttpFault::handshake;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return HttpFault::certificate;
    default:
      return HttpFault::broken;
  }
}

const char* environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : nullptr;
}

// libcurl sends a header as it is: one with the end of a line in it would be several, or another request.
bool is_one_line(std::string_view header) {
  return header.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

}  // namespace

void HttpHeaders::add(std::string_view name, std::string_view value) {
  std::string key(name);
  for (char& c : key)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  values_.emplace(std::move(key), value);
}

std::optional<std::string_view> HttpHeaders::get(std::string_view name) const {
  auto found = values_.lower_bound(name);
  if (found == values_.end() || found->first != name) return std::nullopt;
  return found->second;
}

std::vector<std::string_view> HttpHeaders::all(std::string_view name) const {
  std::vector<std::string_view> out;
  for (auto [at, end] = values_.equal_range(name); at != end; ++at) out.push_back(at->second);
  return out;
}

Result<size_t> StringSource::read(std::span<std::byte> out) {
  size_t count = std::min(out.size(), text_.size() - at_);
  std::memcpy(out.data(), text_.data() + at_, count);
  at_ += count;
  return count;
}

struct HttpSession::Impl {
  explicit Impl(const CancelToken& token) : cancel(token) {
    easy.reset(libcurl().easy_init());
    multi.reset(libcurl().multi_init());
  }
  ~Impl() { finish(); }

  const CancelToken& cancel;
  std::unique_ptr<CURL, FreeEasy> easy;
  std::unique_ptr<CURLM, FreeMulti> multi;  // owns the connections

  // The exchange in progress.
  bool active = false;
  std::unique_ptr<curl_slist, FreeList> header_list;
  HttpRequest request;
  HttpHead head;
  size_t head_bytes = 0;
  bool head_complete = false;
  std::optional<CURLcode> ended;
  uint64_t sent = 0;
  std::optional<Error> source_error;
  char error_text[CURL_ERROR_SIZE] = {};

  // What has come and was not read. Bytes go straight to the reader while it waits with nothing buffered.
  std::vector<std::byte> buffer;
  size_t buffer_begin = 0;
  std::span<std::byte> target;
  size_t target_filled = 0;
  bool paused = false;
  StallWatch watch{patience_for_head, least_bytes};

  size_t buffered() const { return buffer.size() - buffer_begin; }

  void finish() {
    if (!active) return;
    libcurl().multi_remove_handle(multi.get(), easy.get());
    active = false;
    buffer.clear();
    buffer_begin = 0;
    paused = false;
    target = {};
    request.body = nullptr;
  }

  template <class Value>
  void set(CURLoption option, Value value) {
    libcurl().easy_setopt(easy.get(), option, value);
  }

  void begin(const HttpRequest& wanted) {
    finish();
    request = wanted;
    head = {};
    head_bytes = 0;
    head_complete = false;
    ended.reset();
    sent = 0;
    source_error.reset();
    error_text[0] = '\0';
    watch = StallWatch(wanted.body != nullptr ? patience_for_upload : patience_for_head, least_bytes);
    libcurl().easy_reset(easy.get());  // options only: connections stay
    set_options();
    libcurl().multi_add_handle(multi.get(), easy.get());
    active = true;
  }

  void set_options() {
    set(CURLOPT_URL, request.url.c_str());
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_QUICK_EXIT, 1L);  // a Ctrl-C does not wait for the answer of a dead name server
    set(CURLOPT_ERRORBUFFER, error_text);
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
    set(CURLOPT_USERAGENT, "diatom/" DIATOM_VERSION);
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.connect_timeout.count()));
    set(CURLOPT_TCP_KEEPALIVE, 1L);
    set(CURLOPT_BUFFERSIZE, transfer_block);
    set(CURLOPT_UPLOAD_BUFFERSIZE, transfer_block);
    set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    set(CURLOPT_HEADERFUNCTION, &Impl::on_header);
    set(CURLOPT_HEADERDATA, this);
    set(CURLOPT_WRITEFUNCTION, &Impl::on_body);
    set(CURLOPT_WRITEDATA, this);
    set_method();
    set_proxy();
    set_tls();
  }

  void set_method() {
    curl_slist* list = nullptr;
    for (const auto& header : request.headers) list = libcurl().slist_append(list, header.c_str());
    // Waiting for a server to agree costs a second where it does not know the word.
    list = libcurl().slist_append(list, "Expect:");
    header_list.reset(list);
    set(CURLOPT_HTTPHEADER, list);
    if (request.method == "HEAD") {
      set(CURLOPT_NOBODY, 1L);
    } else if (request.body != nullptr) {
      set(CURLOPT_UPLOAD, 1L);
      set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
      set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.body_bytes));
      set(CURLOPT_READFUNCTION, &Impl::on_send);
      set(CURLOPT_READDATA, this);
    } else if (request.method != "GET") {
      set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
    }
  }

  // libcurl knows https_proxy, no_proxy and all_proxy in both cases, but http_proxy in lower case only: in a CGI
  // program HTTP_PROXY is a header that the client sent. As Go has it, a proxy is never asked for this very host.
  void set_proxy() {
    auto origin = origin_of(request.url);
    if (origin && is_loopback(origin->host)) {
      set(CURLOPT_PROXY, "");
    } else if (origin && origin->scheme == "http" && environment("http_proxy") == nullptr &&
               environment("REQUEST_METHOD") == nullptr) {
      if (const char* proxy = environment("HTTP_PROXY")) set(CURLOPT_PROXY, proxy);
    }
  }

  void set_tls() {
    const TlsOptions& tls = request.tls;
    set(CURLOPT_SSL_VERIFYPEER, tls.verify ? 1L : 0L);
    set(CURLOPT_SSL_VERIFYHOST, tls.verify ? 2L : 0L);
    set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    if (const char* folder = environment("SSL_CERT_DIR")) set(CURLOPT_CAPATH, folder);
    if (const char* file = environment("SSL_CERT_FILE")) set(CURLOPT_CAINFO, file);
    if (!tls.ca_pem.empty()) {
      // Takes the place of the bundle, but not of the folder of the system's CAs.
      curl_blob blob{const_cast<char*>(tls.ca_pem.data()), tls.ca_pem.size(), CURL_BLOB_COPY};
      set(CURLOPT_CAINFO_BLOB, &blob);
    }
    if (!tls.client_cert.empty()) {
      set(CURLOPT_SSLCERT, tls.client_cert.c_str());
      set(CURLOPT_SSLKEY, tls.client_key.c_str());
    }
  }

  static size_t on_header(char* text, size_t, size_t size, void* self) {
    return static_cast<Impl*>(self)->take_header({text, size}) ? size : 0;
  }
  static size_t on_body(char* data, size_t, size_t size, void* self) {
    return static_cast<Impl*>(self)->take_body(std::as_bytes(std::span(data, size)));
  }
  static size_t on_send(char* out, size_t one, size_t size, void* self) {
    return static_cast<Impl*>(self)->give_body(std::as_writable_bytes(std::span(out, one * size)));
  }

  bool take_header(std::string_view line) {
    watch.moved(line.size());
    head_bytes += line.size();
    if (head_bytes > most_head_bytes) return false;
    while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with("HTTP/")) {  // again after "100 Continue"
      head = {};
      std::string_view rest = line.substr(std::min(line.find(' '), line.size()));
      while (rest.starts_with(' ')) rest.remove_prefix(1);
      std::from_chars(rest.data(), rest.data() + rest.size(), head.status);
    } else if (line.empty()) {
      head_complete = head_complete || head.status >= 200;
    } else if (size_t colon = line.find(':'); colon != std::string_view::npos && !head_complete) {
      std::string_view value = line.substr(colon + 1);
      value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
      head.headers.add(line.substr(0, colon), value);
    }
    return true;
  }

  size_t take_body(std::span<const std::byte> data) {
    size_t direct = buffered() == 0 ? std::min(data.size(), target.size() - target_filled) : 0;
    std::span<const std::byte> rest = data.subspan(direct);
    if (direct == 0 && buffered() + rest.size() > most_buffered) return pause();
    // Not ranges::copy, of which g++ 12 makes a loop over bytes here.
    if (direct > 0) std::memcpy(target.data() + target_filled, data.data(), direct);
    target_filled += direct;
    if (!rest.empty()) {
      if (buffer_begin == buffer.size()) {
        buffer.clear();
        buffer_begin = 0;
      }
      buffer.insert(buffer.end(), rest.begin(), rest.end());
    }
    watch.moved(data.size());
    return data.size();
  }

  size_t pause() {
    paused = true;
    return CURL_WRITEFUNC_PAUSE;  // the whole block comes again
  }

  size_t give_body(std::span<std::byte> out) {
    if (cancel.cancelled()) return CURL_READFUNC_ABORT;
    size_t most = static_cast<size_t>(std::min<uint64_t>(out.size(), request.body_bytes - sent));
    if (most == 0) return 0;
    auto got = request.body->read(out.first(most));
    if (!got) {
      source_error = got.error();
      return CURL_READFUNC_ABORT;
    }
    sent += *got;
    watch.moved(*got);
    if (request.on_sent && *got > 0) request.on_sent(sent);
    return *got;
  }

  // Lets the transfer go on, and waits for the network when it cannot.
  HttpResult<bool> step(const std::function<bool()>& enough) {
    if (cancel.cancelled()) return fault(HttpFault::cancelled, "interrupted");
    if (paused && buffered() == 0) {
      paused = false;
      libcurl().easy_pause(easy.get(), CURLPAUSE_CONT);
      if (enough()) return true;
    }
    int running = 0;
    CURLMcode code = libcurl().multi_perform(multi.get(), &running);
    if (code != CURLM_OK) return fault(HttpFault::broken, libcurl().multi_strerror(code));
    int left = 0;
    while (CURLMsg* message = libcurl().multi_info_read(multi.get(), &left))
      if (message->msg == CURLMSG_DONE) ended = message->data.result;
    if (enough() || ended || paused) return true;
    auto before = std::chrono::steady_clock::now();
    libcurl().multi_poll(multi.get(), nullptr, 0, look_at_token_ms, nullptr);
    watch.waited(std::chrono::steady_clock::now() - before);
    if (watch.stalled()) return fault(HttpFault::stalled, "nothing comes any more");
    return true;
  }

  std::unexpected<HttpFailure> fault(HttpFault kind, std::string why) {
    return std::unexpected(HttpFailure{kind, std::move(why)});
  }

  std::unexpected<HttpFailure> failure_at_end() {
    if (cancel.cancelled()) return fault(HttpFault::cancelled, "interrupted");
    if (source_error) return std::unexpected(final_failure(*source_error));
    CURLcode code = *ended;
    std::string why = error_text[0] != '\0' ? error_text : libcurl().easy_strerror(code);
    HttpFault kind = fault_of(code, why);
    long proxy_status = 0;
    libcurl().easy_getinfo(easy.get(), CURLINFO_HTTP_CONNECTCODE, &proxy_status);
    if (proxy_status >= 300) kind = HttpFault::unreachable;  // the proxy does not want to, or finds nobody
    if (code == CURLE_OPERATION_TIMEDOUT) {
      curl_off_t connected = 0;
      libcurl().easy_getinfo(easy.get(), CURLINFO_CONNECT_TIME_T, &connected);
      if (connected > 0 && request.url.starts_with("https:")) kind = HttpFault::handshake;
    }
    return fault(kind, std::move(why));
  }

  HttpResult<bool> wait_until(const std::function<bool()>& enough) {
    while (!enough() && !ended)
      if (auto stepped = step(enough); !stepped) return std::unexpected(stepped.error());
    return true;
  }
};

HttpSession::HttpSession(const CancelToken& cancel) : impl_(std::make_unique<Impl>(cancel)) {}
HttpSession::~HttpSession() = default;
void HttpSession::finish() { impl_->finish(); }

HttpResult<HttpHead> HttpSession::send(const HttpRequest& request) {
  if (!std::ranges::all_of(request.headers, is_one_line))
    return std::unexpected(final_failure(Errc::invalid_argument, "a header has more than one line"));
  impl_->begin(request);
  auto waited = impl_->wait_until([this] { return impl_->head_complete; });
  if (!waited) {
    impl_->finish();
    return std::unexpected(waited.error());
  }
  // A refusal may end an upload early, which is no failure when the whole head is here.
  if (impl_->head_complete) {
    impl_->watch = StallWatch(patience_for_body, least_bytes);
    return impl_->head;
  }
  HttpFailure failure = *impl_->ended == CURLE_OK ? HttpFailure{HttpFault::broken, "the answer has no head"}
                                                  : impl_->failure_at_end().error();
  impl_->finish();
  return std::unexpected(failure);
}

HttpResult<size_t> HttpSession::read(std::span<std::byte> out) {
  Impl& impl = *impl_;
  if (!impl.active || out.empty()) return size_t{0};
  if (impl.buffered() > 0) {
    size_t count = std::min(out.size(), impl.buffered());
    std::memcpy(out.data(), impl.buffer.data() + impl.buffer_begin, count);
    impl.buffer_begin += count;
    return count;
  }
  impl.target = out;
  impl.target_filled = 0;
  auto waited = impl.wait_until([&impl] { return impl.target_filled > 0; });
  impl.target = {};
  if (!waited) {
    impl.finish();
    return std::unexpected(waited.error());
  }
  if (impl.target_filled > 0) return std::exchange(impl.target_filled, 0);
  if (*impl.ended != CURLE_OK) {
    HttpFailure failure = impl.failure_at_end().error();
    impl.finish();
    return std::unexpected(failure);
  }
  return size_t{0};
}

HttpResult<std::string> HttpSession::read_all(size_t limit_bytes) {
  std::string text;
  std::vector<std::byte> block(64 << 10);
  for (;;) {
    auto got = read(block);
    if (!got) return std::unexpected(got.error());
    if (*got == 0) return text;
    if (text.size() + *got > limit_bytes) {
      finish();
      return std::unexpected(final_failure(Errc::image_pull, fmt::format("it is longer than {} bytes", limit_bytes)));
    }
    text.append(reinterpret_cast<const char*>(block.data()), *got);
  }
}

}  // namespace diatom::image
