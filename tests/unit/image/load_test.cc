#include "image/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "oci/manifest.h"
#include "support/erofs_reader.h"
#include "support/image_archive.h"
#include "support/store_fixture.h"

namespace diatom::image {
namespace {

using test::ArchiveImage;
using test::json;
using test::Layout;
using test::Packing;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class LoadTest : public test::StoreTest {
 protected:
  LoadTest() {
    image_.layers = {test::tar({test::directory("bin"), test::file("bin/sh", "shell"), test::file("old", "x")}),
                     test::tar({test::file("bin/sh", "better shell"), test::file(".wh.old")})};
  }
  Result<std::vector<LoadedImage>> load(const std::string& archive) {
    EXPECT_TRUE(replace_file(scratch_ / "archive", archive));
    return load_archive(*store_, scratch_ / "archive", cancel_);
  }
  // The root file system, as the engine would be given it.
  std::map<std::string, test::ErofsFile> root_of(const std::string& reference) {
    auto record = store_->images().find(reference);
    EXPECT_TRUE(record) << test::error_of(record);
    std::string device = read_file(paths_.image_metadata(record->id)).value();
    EXPECT_EQ(device.size(), record->metadata_bytes);
    for (const auto& layer : record->layers) device += read_file(paths_.layer_data(layer.diff_id)).value();
    return test::ErofsReader(device).tree();
  }
  void expect_nothing_left() {
    for (const auto& directory : {paths_.blobs(), paths_.layers(), paths_.images(), paths_.ingest()})
      EXPECT_THAT(names_in(directory), IsEmpty()) << directory;
    EXPECT_THAT(*store_->images().list(), IsEmpty());
  }

  ArchiveImage image_;
  CancelToken cancel_;
};

TEST_F(LoadTest, MakesALayoutReadyToRunInEveryPacking) {
  for (Packing packing : {Packing::plain, Packing::gzip, Packing::zstd}) {
    image_.packing = packing;
    Layout layout(image_);
    auto loaded = load(layout.as_tar());
    ASSERT_TRUE(loaded) << test::error_of(loaded);
    ASSERT_EQ(loaded->size(), 1U);
    EXPECT_EQ(loaded->front().id, layout.id);
    EXPECT_THAT(loaded->front().tags, ElementsAre("busybox:latest"));
    auto root = root_of("busybox");
    EXPECT_EQ(root.at("bin/sh").content, "better shell");
    EXPECT_FALSE(root.contains("old"));
    EXPECT_THAT(names_in(paths_.ingest()), IsEmpty());
  }
  EXPECT_EQ(store_->images().list()->size(), 1U) << "the config is the same: so is the image";
}

TEST_F(LoadTest, TakesFoldersAndDockerArchives) {
  Layout layout(image_);
  for (const auto& [path, content] : layout.files) {
    ASSERT_TRUE(make_directories((scratch_ / "layout" / path).parent_path()));
    ASSERT_TRUE(replace_file(scratch_ / "layout" / path, content));
  }
  ASSERT_TRUE(load_archive(*store_, scratch_ / "layout", cancel_));
  EXPECT_EQ(root_of("busybox").at("bin/sh").content, "better shell");
  image_.name = "other:v1";
  auto loaded = load(test::docker_archive(image_));
  ASSERT_TRUE(loaded) << test::error_of(loaded);
  EXPECT_THAT(loaded->front().tags, ElementsAre("other:v1"));
  EXPECT_EQ(root_of("other:v1").at("bin/sh").content, "better shell");
}

TEST_F(LoadTest, StoresALayerOnceThatTwoImagesShare) {
  ASSERT_TRUE(load(Layout(image_).as_tar()));
  ArchiveImage other{.layers = {image_.layers[0]}, .name = "base"};
  ASSERT_TRUE(load(Layout(other).as_tar()));
  EXPECT_EQ(names_in(paths_.layers()).size(), 4U) << "data and index of two layers";
  EXPECT_EQ(root_of("base").at("bin/sh").content, "shell");
  EXPECT_EQ(root_of("busybox").at("bin/sh").content, "better shell");
}

TEST_F(LoadTest, TakesALayerTwiceAndNoLayerAtAll) {
  image_.layers = {image_.layers[0], image_.layers[1], image_.layers[0]};
  ASSERT_TRUE(load(Layout(image_).as_tar()));
  EXPECT_EQ(root_of("busybox").at("bin/sh").content, "shell");
  ASSERT_TRUE(load(Layout({.layers = {}, .name = "empty"}).as_tar()));
  EXPECT_EQ(root_of("empty").size(), 1U);
}

TEST_F(LoadTest, PassesOverWhatIsForOtherMachines) {
  image_.architecture = "mips64";
  Layout layout(image_);
  Layout both(ArchiveImage{.layers = {}, .name = "ours"});
  json foreign = layout.index["manifests"][0];
  foreign["platform"] = {{"os", "linux"}, {"architecture", "mips64"}};
  both.set_index({foreign, both.index["manifests"][0]});
  both.files.insert(layout.files.begin(), layout.files.end());
  auto loaded = load(both.as_tar());
  ASSERT_TRUE(loaded) << test::error_of(loaded);
  EXPECT_THAT(loaded->front().tags, ElementsAre("ours:latest"));
  // Alone it is an error that says what there is.
  layout.set_index({foreign});
  EXPECT_THAT(test::error_of(load(layout.as_tar())), HasSubstr("there is one for linux/mips64"));
}

TEST_F(LoadTest, FindsAnImageBehindNestedIndexesButNotBehindEndlessOnes) {
  for (int depth : {1, 4, 5}) {
    Layout layout(image_);
    json entry = layout.index["manifests"][0];
    json name = entry["annotations"];
    for (int i = 0; i < depth; ++i)
      entry = layout.blob(json{{"schemaVersion", 2}, {"manifests", {entry}}}.dump(),
                          "application/vnd.oci.image.index.v1+json");
    layout.set_index({entry});
    EXPECT_EQ(load(layout.as_tar()).has_value(), depth <= 4) << depth;
  }
}

TEST_F(LoadTest, RefusesWhatIsWrongNamesItAndLeavesNothing) {
  std::string other = test::tar({test::file("something else")});
  const std::tuple<const char*, std::function<void(Layout&)>, const char*> cases[] = {
      {"no index", [](Layout& layout) { layout.files.erase("index.json"); }, "neither an OCI image layout"},
      {"an index that is no JSON", [](Layout& layout) { layout.files["index.json"] = "{"; }, "image index"},
      {"an empty index", [](Layout& layout) { layout.set_index({}); }, "no image in it"},
      {"a missing blob",
       [](Layout& layout) {
         std::erase_if(layout.files, [](const auto& file) { return file.second.starts_with("\x1f\x8b"); });
       },
       "missing from the archive"},
      {"a blob with other content",
       [](Layout& layout) {
         for (auto& [path, content] : layout.files)
           if (content.starts_with("\x1f\x8b")) content = "something else";
       },
       "wrong digest"},
      {"a wrong size",
       [](Layout& layout) {
         json entry = layout.index["manifests"][0];
         entry["size"] = 1;
         layout.set_index({entry});
       },
       "its descriptor says 1"},
      {"an unknown kind",
       [](Layout& layout) {
         json entry = layout.index["manifests"][0];
         entry["mediaType"] = "text/html";
         layout.set_index({entry});
       },
       "unknown media type \"text/html\""},
      {"a digest that climbs out",
       [](Layout& layout) {
         json entry = layout.index["manifests"][0];
         entry["digest"] = "sha256:../../../../etc/passwd";
         layout.set_index({entry});
       },
       "parse digest"},
  };
  for (const auto& [what, spoil, message] : cases) {
    Layout layout(image_);
    spoil(layout);
    auto refused = load(layout.as_tar());
    ASSERT_FALSE(refused) << what;
    EXPECT_EQ(refused.error().code, Errc::invalid_argument) << what;
    EXPECT_THAT(refused.error().message, HasSubstr(message)) << what;
    expect_nothing_left();
  }
}

TEST_F(LoadTest, RefusesAConfigThatDoesNotFitItsLayers) {
  ArchiveImage lies = image_;
  Layout layout(image_);
  lies.layers[1] = test::tar({test::file("another")});
  json layers = json::array();
  for (const auto& layer : image_.layers)
    layers.push_back(layout.blob(test::pack(layer, Packing::gzip), "application/vnd.oci.image.layer.v1.tar+gzip"));
  json config = layout.blob(test::config_of(lies).dump(), "application/vnd.oci.image.config.v1+json");
  json manifest =
      layout.blob(json{{"config", config}, {"layers", layers}}.dump(), "application/vnd.oci.image.manifest.v1+json");
  layout.set_index({manifest});
  EXPECT_THAT(test::error_of(load(layout.as_tar())), HasSubstr("wrong digest of its content"));
  expect_nothing_left();
  layers.erase(1);
  manifest =
      layout.blob(json{{"config", config}, {"layers", layers}}.dump(), "application/vnd.oci.image.manifest.v1+json");
  layout.set_index({manifest});
  EXPECT_THAT(test::error_of(load(layout.as_tar())), HasSubstr("its config names 2 layers, its manifest 1"));
  expect_nothing_left();
}

TEST_F(LoadTest, KeepsWhatIsThereWhenALaterLoadFails) {
  ASSERT_TRUE(load(Layout(image_).as_tar()));
  Layout broken(ArchiveImage{.layers = {image_.layers[0], "no tar"}, .name = "busybox:latest"});
  ASSERT_FALSE(load(broken.as_tar()));
  EXPECT_EQ(root_of("busybox").at("bin/sh").content, "better shell");
  EXPECT_EQ(names_in(paths_.layers()).size(), 4U);
}

TEST_F(LoadTest, EndsAtTheLimitThatTheEnvironmentSets) {
  ::setenv("DIATOM_MAX_LAYER_SIZE", "1Ki", 1);
  auto refused = load(Layout(image_).as_tar());
  ::setenv("DIATOM_MAX_LAYER_SIZE", "nonsense", 1);
  auto nonsense = load(Layout(image_).as_tar());
  ::unsetenv("DIATOM_MAX_LAYER_SIZE");
  EXPECT_THAT(test::error_of(refused), HasSubstr("larger than 1024 bytes"));
  EXPECT_THAT(test::error_of(nonsense), HasSubstr("DIATOM_MAX_LAYER_SIZE"));
  expect_nothing_left();
}

TEST_F(LoadTest, LeavesNothingWhenItIsCancelled) {
  cancel_.cancel();
  EXPECT_EQ(load(Layout(image_).as_tar()).error().code, Errc::cancelled);
  expect_nothing_left();
}

TEST_F(LoadTest, IsWholeOrNotThereAfterAnyKill) {
  std::vector<test::TarEntry> many;
  for (int i = 0; i < 300; ++i)
    many.push_back(test::file("f" + std::to_string(i), test::noise(2'000, static_cast<uint32_t>(i) + 1)));
  image_.layers.push_back(test::tar(many));
  ASSERT_TRUE(replace_file(scratch_ / "archive", Layout(image_).as_tar()));
  for (int round = 0; round < 8; ++round) {
    auto victim = start([&](auto tell) {
      auto own = open();
      tell();
      if (!load_archive(*own, scratch_ / "archive", cancel_)) ::_exit(2);
      tell();
    });
    ASSERT_TRUE(victim->wait_for(1));
    // Killed when it has come to a little more each time: a file appears in the folders one after the other.
    auto progress = [&] {
      return names_in(paths_.blobs()).size() + names_in(paths_.layers()).size() + names_in(paths_.images()).size();
    };
    while (progress() < static_cast<size_t>(round) && victim->alive()) std::this_thread::yield();
    victim->kill();
    ASSERT_TRUE(store_->sweep());
    if (store_->images().list()->empty()) {
      expect_nothing_left();
    } else {
      EXPECT_EQ(root_of("busybox").at("f299").content, test::noise(2'000, 300));
      ASSERT_TRUE(store_->images().remove(store_->images().find("busybox")->id));
      ASSERT_TRUE(store_->sweep());
    }
  }
  ASSERT_TRUE(load_archive(*store_, scratch_ / "archive", cancel_));
  EXPECT_EQ(root_of("busybox").at("f0").content, test::noise(2'000, 1));
}

}  // namespace
}  // namespace diatom::image
