// What no pull can do without, and nothing else: every layer is fetched, its digest taken, inflated, the digest of the
// content taken, its tar walked, and what its files hold written, each on a 4 KiB boundary, to one file for each layer,
// which is on the disk at the end. Two layers at a time, the largest first, each in two threads. A pull's time is told
// as a multiple of this one's (bench/pull.py).
//
//   pull_floor [--no-sync | --no-write | --direct] DIRECTORY < LIST     LIST: lines of URL, digest, diff id, bytes
//
// --direct writes past the page cache: less work, but what reads the files next has to fetch them from the disk.
#include <curl/curl.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <isa-l/igzip_lib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>
#include <mutex>
#include <queue>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "base/hash.h"

namespace diatom {

namespace {

using Bytes = std::span<const std::byte>;
constexpr size_t chunk_bytes = 1 << 20;
constexpr size_t chunks_in_flight = 3;

struct Options {
  bool write = true;
  bool sync = true;
  bool direct = false;
  std::string directory;
};

struct Layer {
  std::string url;
  std::string digest;
  std::string diff_id;
  uint64_t bytes = 0;
};

[[noreturn]] void die(const std::string& why) {
  std::cerr << "pull_floor: " << why << "\n";
  std::_Exit(1);
}

void must(const Result<>& result) {
  if (!result) die(result.error().message);
}

// Chunks on their way from one thread to another; they go back to be filled again.
class Pipe {
 public:
  struct Chunk {
    std::vector<std::byte> bytes;
    size_t used = 0;
  };

  Pipe() : chunks_(chunks_in_flight) {
    for (Chunk& chunk : chunks_) {
      chunk.bytes.resize(chunk_bytes);
      free_.push(&chunk);
    }
  }
  Chunk* take_free() { return take(free_); }
  Chunk* take_full() { return take(full_); }
  void give_free(Chunk* chunk) { give(free_, chunk); }
  void give_full(Chunk* chunk) { give(full_, chunk); }  // null: the end

 private:
  Chunk* take(std::queue<Chunk*>& from) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !from.empty(); });
    Chunk* chunk = from.front();
    from.pop();
    return chunk;
  }
  void give(std::queue<Chunk*>& to, Chunk* chunk) {
    std::lock_guard lock(mutex_);
    to.push(chunk);
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Chunk> chunks_;
  std::queue<Chunk*> free_;
  std::queue<Chunk*> full_;
};

// The data file of a layer. Writing to the disk begins at once, so that the sync at the end has little to wait for.
class DataFile {
 public:
  DataFile(const Options& options, const std::string& path)
      : options_(options), memory_(static_cast<std::byte*>(std::aligned_alloc(4096, chunk_bytes))) {
    if (!options.write) return;
    auto fd = open_file(path, O_RDWR | O_CREAT | O_TRUNC | (options.direct ? O_DIRECT : 0));
    if (!fd) die(fd.error().message);
    fd_ = std::move(*fd);
  }

  void write(Bytes data) {
    while (!data.empty()) {
      size_t part = std::min(data.size(), buffer_.size() - used_);
      std::memcpy(buffer_.data() + used_, data.data(), part);
      used_ += part;
      data = data.subspan(part);
      if (used_ == buffer_.size()) flush();
    }
  }
  void align() {
    size_t aligned = (used_ + 4095) / 4096 * 4096;
    std::memset(buffer_.data() + used_, 0, aligned - used_);
    used_ = aligned;
    if (used_ == buffer_.size()) flush();
  }
  UniqueFd finish() {
    flush();
    return std::move(fd_);
  }

 private:
  void flush() {
    if (options_.write) {
      must(pwrite_all(fd_.get(), std::span(buffer_).first(used_), written_));
      if (options_.sync && !options_.direct)
        ::sync_file_range(fd_.get(), static_cast<off64_t>(written_), 0, SYNC_FILE_RANGE_WRITE);
    }
    written_ += used_;
    used_ = 0;
  }

  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };

  const Options& options_;
  UniqueFd fd_;
  std::unique_ptr<std::byte, Free> memory_;
  std::span<std::byte> buffer_{memory_.get(), chunk_bytes};
  size_t used_ = 0;
  uint64_t written_ = 0;
};

// As much of tar as is needed to find the files' contents; extended headers are passed over.
class Tar {
 public:
  explicit Tar(DataFile& out) : out_(out) {}

  void add(Bytes data) {
    while (!data.empty()) {
      uint64_t wanted = content_ > 0 ? content_ : padding_ > 0 ? padding_ : header_.size() - have_;
      Bytes part = data.first(std::min<uint64_t>(wanted, data.size()));
      data = data.subspan(part.size());
      if (content_ > 0) {
        if (is_file_) out_.write(part);
        content_ -= part.size();
        if (content_ == 0 && is_file_) out_.align();
      } else if (padding_ > 0) {
        padding_ -= part.size();
      } else {
        std::memcpy(header_.data() + have_, part.data(), part.size());
        have_ += part.size();
        if (have_ == header_.size()) begin_entry();
      }
    }
  }

 private:
  void begin_entry() {
    have_ = 0;
    content_ = (header_[124] & '\x80') != 0 ? 0 : std::strtoull(std::string(&header_[124], 12).c_str(), nullptr, 8);
    if ((header_[124] & '\x80') != 0)  // GNU's binary size
      for (size_t i = 128; i < 136; ++i) content_ = content_ << 8 | static_cast<unsigned char>(header_[i]);
    padding_ = (512 - content_ % 512) % 512;
    is_file_ = header_[156] == '0' || header_[156] == '\0';
  }

  DataFile& out_;
  std::array<char, 512> header_{};
  size_t have_ = 0;
  uint64_t content_ = 0;
  uint64_t padding_ = 0;
  bool is_file_ = false;
};

// Compressed bytes in, full chunks out.
class Inflater {
 public:
  explicit Inflater(Pipe& out) : out_(out), gzip_(std::make_unique<inflate_state>()), zstd_(ZSTD_createDStream()) {
    isal_inflate_init(gzip_.get());
    gzip_->crc_flag = ISAL_GZIP;
    chunk_ = out_.take_free();
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  Inflater(Inflater&&) = delete;
  Inflater& operator=(Inflater&&) = delete;
  ~Inflater() { ZSTD_freeDStream(zstd_); }

  void add(Bytes data) {
    if (first_) is_zstd_ = data[0] == std::byte{0x28};
    first_ = false;
    // Output that is still inside the decoder comes out with the next input, or has filled the chunk.
    bool full = false;
    do {
      size_t room = chunk_->bytes.size() - chunk_->used;
      size_t made = is_zstd_ ? inflate_zstd(data, room) : inflate_gzip(data, room);
      chunk_->used += made;
      full = made == room;
      if (full) pass_on();
    } while (!data.empty() || full);
  }
  void finish() {
    out_.give_full(chunk_);
    out_.give_full(nullptr);
  }

 private:
  void pass_on() {
    out_.give_full(chunk_);
    chunk_ = out_.take_free();
  }
  size_t inflate_gzip(Bytes& data, size_t room) {
    if (gzip_->block_state == ISAL_BLOCK_FINISH) {
      if (!data.empty()) die("more than one gzip member");
      return 0;
    }
    gzip_->next_in = reinterpret_cast<uint8_t*>(const_cast<std::byte*>(data.data()));
    gzip_->avail_in = static_cast<uint32_t>(data.size());
    gzip_->next_out = reinterpret_cast<uint8_t*>(chunk_->bytes.data() + chunk_->used);
    gzip_->avail_out = static_cast<uint32_t>(room);
    if (isal_inflate(gzip_.get()) < 0) die("damaged gzip");
    data = data.last(gzip_->avail_in);
    return room - gzip_->avail_out;
  }
  size_t inflate_zstd(Bytes& data, size_t room) {
    ZSTD_inBuffer in{data.data(), data.size(), 0};
    ZSTD_outBuffer out{chunk_->bytes.data() + chunk_->used, room, 0};
    if (ZSTD_isError(ZSTD_decompressStream(zstd_, &out, &in))) die("damaged zstd");
    data = data.subspan(in.pos);
    return out.pos;
  }

  Pipe& out_;
  std::unique_ptr<inflate_state> gzip_;
  ZSTD_DStream* zstd_;
  Pipe::Chunk* chunk_;
  bool first_ = true;
  bool is_zstd_ = false;
};

struct Download {
  Sha256 digest;
  Inflater inflater;
};

size_t receive(char* data, size_t one, size_t size, void* self) {
  auto* download = static_cast<Download*>(self);
  Bytes bytes = std::as_bytes(std::span(data, one * size));
  download->digest.update(bytes);
  download->inflater.add(bytes);
  return bytes.size();
}

// Returns the data file, not synced yet.
UniqueFd pull_layer(CURL* curl, const Layer& layer, const Options& options, const std::string& path) {
  Pipe pipe;
  UniqueFd file;
  std::jthread consumer([&] {
    Sha256 diff_id;
    DataFile data(options, path);
    Tar tar(data);
    while (Pipe::Chunk* chunk = pipe.take_full()) {
      Bytes bytes = std::span(chunk->bytes).first(chunk->used);
      diff_id.update(bytes);
      tar.add(bytes);
      chunk->used = 0;
      pipe.give_free(chunk);
    }
    if ("sha256:" + diff_id.finish_hex() != layer.diff_id) die("wrong diff id of " + layer.url);
    file = data.finish();
  });
  Download download{{}, Inflater(pipe)};
  curl_easy_setopt(curl, CURLOPT_URL, layer.url.c_str());
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &download);
  curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 512L << 10);
  curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  if (CURLcode code = curl_easy_perform(curl); code != CURLE_OK) die(layer.url + ": " + curl_easy_strerror(code));
  if ("sha256:" + download.digest.finish_hex() != layer.digest) die("wrong digest of " + layer.url);
  download.inflater.finish();
  consumer.join();
  return file;
}

void pull_all(std::vector<Layer> layers, const Options& options) {
  std::ranges::sort(layers, std::greater{}, &Layer::bytes);
  std::vector<UniqueFd> files(layers.size());
  std::atomic<size_t> next{0};
  auto work = [&] {
    CURL* curl = curl_easy_init();  // keeps its connection
    for (size_t i; (i = next.fetch_add(1)) < layers.size();)
      files[i] = pull_layer(curl, layers[i], options, fmt::format("{}/{}", options.directory, i));
    curl_easy_cleanup(curl);
  };
  std::jthread second(work);
  work();
  second.join();
  if (options.write && options.sync)
    for (const UniqueFd& file : files) must(sync_fd(file.get()));
}

// Of this program alone: what wait4 tells its parent counts the parent's own memory before exec, too.
std::string peak_memory() {
  auto status = read_file("/proc/self/status");
  if (!status) return "?";
  size_t begin = status->find("VmHWM:");
  return begin == std::string::npos ? "?" : std::to_string(std::strtoull(status->c_str() + begin + 6, nullptr, 10));
}

int run(std::span<char*> arguments) {
  Options options;
  for (std::string_view word : arguments.subspan(1)) {
    if (word == "--no-write")
      options.write = false;
    else if (word == "--no-sync")
      options.sync = false;
    else if (word == "--direct")
      options.direct = true;
    else
      options.directory = word;
  }
  std::vector<Layer> layers;
  for (Layer layer; std::cin >> layer.url >> layer.digest >> layer.diff_id >> layer.bytes;) layers.push_back(layer);
  if (options.directory.empty() || layers.empty())
    die("usage: pull_floor [--no-sync | --no-write | --direct] DIRECTORY < LIST");
  curl_global_init(CURL_GLOBAL_DEFAULT);
  auto begin = std::chrono::steady_clock::now();
  pull_all(std::move(layers), options);
  std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  fmt::print("{{\"seconds\": {:.3f}, \"peak_kib\": {}}}\n", took.count(), peak_memory());
  return 0;
}

}  // namespace

}  // namespace diatom

int main(int argc, char** argv) { return diatom::run(std::span(argv, static_cast<size_t>(argc))); }
