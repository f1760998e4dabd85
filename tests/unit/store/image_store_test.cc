#include "store/image_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "base/hash.h"
#include "store/content_store.h"
#include "support/store_fixture.h"

namespace diatom::store {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

std::string hex(char digit) { return std::string(64, digit); }

class ImageStoreTest : public test::StoreTest {
 protected:
  // An image with its files, as load leaves it: one blob a layer, named after the layer.
  ImageRecord image(const std::string& id, const std::vector<std::string>& layers, int64_t loaded_ns = 1) {
    // A manifest names one config, so every image has one of its own.
    ImageRecord record{.id = id,
                       .manifest = id == hex('b') ? hex('d') : hex('e'),
                       .metadata_bytes = 4096,
                       .loaded_ns = loaded_ns,
                       .tags = {},
                       .digests = {},
                       .layers = {}};
    for (const auto& layer : layers) {
      record.layers.push_back({layer, 8192, 10'240, 3, layer});
      for (const fs::path& path : {paths_.layer_data(layer), paths_.layer_index(layer), paths_.blobs() / layer})
        EXPECT_TRUE(replace_file(path, "x"));
    }
    for (const fs::path& path : {paths_.image_metadata(id), paths_.blobs() / id, paths_.blobs() / record.manifest})
      EXPECT_TRUE(replace_file(path, "x"));
    return record;
  }
  ImageStore& images() { return store_->images(); }
  Result<> put(ImageRecord record, std::vector<std::string> tags) {
    record.tags = std::move(tags);
    return images().put(record);
  }
};

TEST_F(ImageStoreTest, ReadsWhatWasPut) {
  ASSERT_TRUE(put(image(hex('a'), {hex('1'), hex('2'), hex('1')}, 77),
                  {"docker.io/library/x:latest", "docker.io/library/a:1"}));
  auto found = images().find("x");
  ASSERT_TRUE(found) << test::error_of(found);
  EXPECT_EQ(found->id, hex('a'));
  EXPECT_EQ(found->manifest, hex('e'));
  EXPECT_EQ(found->metadata_bytes, 4096U);
  EXPECT_EQ(found->loaded_ns, 77);
  EXPECT_THAT(found->tags, ElementsAre("docker.io/library/a:1", "docker.io/library/x:latest"));
  ASSERT_EQ(found->layers.size(), 3U) << "an image may have a layer twice";
  EXPECT_EQ(found->layers[2].diff_id, hex('1'));
  EXPECT_EQ(found->layers[1].data_bytes, 8192U);
  EXPECT_EQ(found->layers[1].tar_bytes, 10'240U);
  EXPECT_EQ(found->layers[1].entries, 3U);
  EXPECT_EQ(found->layers[1].blob, hex('2'));
  EXPECT_TRUE(images().layer(hex('2')).value());
  EXPECT_FALSE(images().layer(hex('3')).value());
}

TEST_F(ImageStoreTest, FindsByNameIdAndPrefix) {
  std::string other = "ab" + hex('0').substr(2);
  ASSERT_TRUE(put(image(hex('a'), {}), {"docker.io/library/x:latest", "localhost:5000/team/y:v1"}));
  ASSERT_TRUE(put(image(other, {}), {"docker.io/library/dead:latest"}));
  for (const std::string& reference : {std::string("x"), std::string("x:latest"), std::string("docker.io/library/x"),
                                       std::string("localhost:5000/team/y:v1"), hex('a'), "sha256:" + hex('a'),
                                       std::string("aa"), std::string("sha256:aaa")})
    EXPECT_EQ(images().find(reference).value_or(ImageRecord{}).id, hex('a')) << reference;
  EXPECT_EQ(images().find("dead")->id, other) << "a name that looks like an id";
  auto ambiguous = images().find("a");
  ASSERT_FALSE(ambiguous);
  EXPECT_EQ(ambiguous.error().code, Errc::invalid_argument);
  for (const char* absent : {"z", "x:other", "sha256:ff", "ff", "", "sha256:"}) {
    auto missing = images().find(absent);
    ASSERT_FALSE(missing) << absent;
    EXPECT_EQ(missing.error().code, Errc::not_found) << absent << ": " << missing.error().message;
  }
  for (const char* nonsense : {"UPPER", "a b", "%", "x'; DROP TABLE images; --"}) {
    auto refused = images().find(nonsense);
    ASSERT_FALSE(refused) << nonsense;
    EXPECT_EQ(refused.error().code, Errc::invalid_argument) << nonsense;
    EXPECT_THAT(refused.error().message, HasSubstr(nonsense));
  }
}

TEST_F(ImageStoreTest, MovesANameToTheImageThatGotItLast) {
  ASSERT_TRUE(put(image(hex('a'), {}, 1), {"docker.io/library/x:latest"}));
  ASSERT_TRUE(put(image(hex('b'), {}, 2), {"docker.io/library/x:latest"}));
  EXPECT_EQ(images().find("x")->id, hex('b'));
  EXPECT_THAT(images().find(hex('a'))->tags, IsEmpty());
  std::vector<std::string> order;
  auto list = images().list();
  ASSERT_TRUE(list);
  for (const auto& record : *list) order.push_back(record.id);
  EXPECT_THAT(order, ElementsAre(hex('b'), hex('a'))) << "newest first";
}

TEST_F(ImageStoreTest, TakesTheSameImageAgain) {
  for (int twice = 0; twice < 2; ++twice) ASSERT_TRUE(put(image(hex('a'), {hex('1')}), {"docker.io/library/x:latest"}));
  EXPECT_EQ(images().list()->size(), 1U);
  EXPECT_EQ(images().find("x")->layers.size(), 1U);
}

TEST_F(ImageStoreTest, FindsByWhatARegistryCallsIt) {
  ImageRecord record = image(hex('a'), {hex('1')});
  record.digests = {{"docker.io/library/x", hex('d')}};
  ASSERT_TRUE(images().put(record));
  EXPECT_EQ(images().find("x@sha256:" + hex('d'))->id, hex('a'));
  EXPECT_EQ(images().find("x:any@sha256:" + hex('d'))->id, hex('a'));
  EXPECT_FALSE(images().find("y@sha256:" + hex('d')));
  EXPECT_THAT(images().find(hex('a'))->digests, ElementsAre(RegistryDigest{"docker.io/library/x", hex('d')}));
}

TEST_F(ImageStoreTest, KnowsWhereARegistryHasABlobAlready) {
  ImageRecord record = image(hex('a'), {hex('1')});
  record.digests = {{"localhost:5000/team/x", hex('d')}, {"other.example/x", hex('d')}};
  ASSERT_TRUE(images().put(record));
  EXPECT_THAT(images().repositories_with_blob("localhost:5000", hex('1'), 3).value(), ElementsAre("team/x"));
  EXPECT_THAT(images().repositories_with_blob("localhost:5000", hex('a'), 3).value(), ElementsAre("team/x"))
      << "the config is a blob, too";
  EXPECT_THAT(images().repositories_with_blob("localhost:5000", hex('2'), 3).value(), IsEmpty());
  EXPECT_THAT(images().repositories_with_blob("localhost", hex('1'), 3).value(), IsEmpty());
}

TEST_F(ImageStoreTest, TheSameImageInAnotherPackingHasItsOwnBlobs) {
  ASSERT_TRUE(put(image(hex('a'), {hex('1')}), {"docker.io/library/x:first"}));
  ImageRecord again = image(hex('a'), {hex('1')});
  again.manifest = hex('f');
  again.layers[0].blob = hex('7');
  for (const auto& blob : {hex('f'), hex('7')}) ASSERT_TRUE(replace_file(paths_.blobs() / blob, "x"));
  again.tags = {"docker.io/library/x:second"};
  ASSERT_TRUE(images().put(again));
  EXPECT_EQ(images().find("x:first")->manifest, hex('e'));
  EXPECT_EQ(images().find("x:first")->layers[0].blob, hex('1'))
      << "what it was pulled with is what is pushed and saved";
  EXPECT_EQ(images().find("x:second")->manifest, hex('f'));
  EXPECT_EQ(images().find("x:second")->layers[0].blob, hex('7'));
  EXPECT_EQ(images().find(hex('a'))->manifest, hex('f')) << "by id: the newest";
  ASSERT_TRUE(store_->sweep());
  EXPECT_TRUE(fs::exists(paths_.blobs() / hex('1')));
  ASSERT_TRUE(images().remove_tag("docker.io/library/x:first"));
  ASSERT_TRUE(store_->sweep());
  EXPECT_FALSE(fs::exists(paths_.blobs() / hex('1'))) << "no name needs that packing any more";
  EXPECT_TRUE(images().is_recorded(hex('1'), hex('7')).value());
  EXPECT_FALSE(images().is_recorded(hex('1'), hex('1')).value());
}

TEST_F(ImageStoreTest, RecordsNothingThatIsNotThere) {
  ImageRecord record = image(hex('a'), {hex('1')});
  fs::remove(paths_.layer_data(hex('1')));
  EXPECT_FALSE(images().put(record));
  EXPECT_THAT(images().list().value(), IsEmpty());
}

TEST_F(ImageStoreTest, SweepsWhatNoImageNeedsAndNothingElse) {
  ASSERT_TRUE(put(image(hex('a'), {hex('1'), hex('2')}), {"docker.io/library/x:latest"}));
  ASSERT_TRUE(put(image(hex('b'), {hex('2'), hex('3')}), {"docker.io/library/y:latest"}));
  for (const fs::path& path : {paths_.blobs() / hex('9'), paths_.layer_data(hex('9')), paths_.image_metadata(hex('9')),
                               paths_.ingest() / "XyZ123"})
    ASSERT_TRUE(replace_file(path, "leftover"));
  ASSERT_TRUE(images().remove(hex('a')));
  EXPECT_FALSE(images().layer(hex('1')).value());
  EXPECT_TRUE(fs::exists(paths_.layer_data(hex('1')))) << "files go at the sweep";
  ASSERT_TRUE(store_->sweep());
  EXPECT_THAT(names_in(paths_.layers()),
              UnorderedElementsAre(hex('2') + ".data", hex('2') + ".index", hex('3') + ".data", hex('3') + ".index"));
  EXPECT_THAT(names_in(paths_.images()), ElementsAre(hex('b') + ".erofs"));
  EXPECT_THAT(names_in(paths_.blobs()), UnorderedElementsAre(hex('2'), hex('3'), hex('b'), hex('d')));
  EXPECT_THAT(names_in(paths_.ingest()), IsEmpty());
  EXPECT_FALSE(images().find("x"));
  EXPECT_TRUE(images().find("y"));
}

TEST_F(ImageStoreTest, RemovesOneNameAndKeepsTheImage) {
  ASSERT_TRUE(put(image(hex('a'), {}), {"docker.io/library/x:latest", "docker.io/library/y:latest"}));
  ASSERT_TRUE(images().remove_tag("docker.io/library/x:latest"));
  EXPECT_FALSE(images().find("x"));
  EXPECT_EQ(images().find("y")->id, hex('a'));
}

// Whoever looks sees each image whole or not at all, while another process adds and removes it.
TEST_F(ImageStoreTest, ReadsEachImageAsOfOneMoment) {
  ImageRecord record = image(hex('a'), {hex('1'), hex('2'), hex('3')});
  record.tags = {"docker.io/library/x:latest"};
  record.digests = {{"docker.io/library/x", hex('e')}};
  std::atomic<bool> done{false};
  std::thread other([&] {
    auto own = open();
    for (int i = 0; i < 100; ++i) {
      EXPECT_TRUE(own->images().put(record));
      EXPECT_TRUE(own->images().remove(hex('a')));
    }
    done = true;
  });
  auto whole = [](const ImageRecord& seen) {
    return seen.layers.size() == 3 && seen.tags.size() == 1 && seen.digests.size() == 1;
  };
  while (!done) {
    auto found = images().find("x");
    EXPECT_TRUE(found ? whole(*found) : found.error().code == Errc::not_found);
    auto list = images().list();
    ASSERT_TRUE(list) << test::error_of(list);
    EXPECT_TRUE(std::ranges::all_of(*list, whole));
  }
  other.join();
}

TEST_F(ImageStoreTest, SweepsNothingWhileSomebodyAdds) {
  auto adding = store_->lock_for_adding(CancelToken());
  ASSERT_TRUE(adding);
  ASSERT_TRUE(replace_file(paths_.blobs() / hex('9'), "on its way"));
  auto other = open();
  ASSERT_TRUE(other->sweep());
  EXPECT_TRUE(other->lock_for_adding(CancelToken())) << "two may add at once";
  EXPECT_THAT(names_in(paths_.blobs()), ElementsAre(hex('9')));
  *adding = std::move(*other->lock_for_adding(CancelToken()));
}

TEST_F(ImageStoreTest, SweepsWhatAKilledLoaderLeft) {
  ASSERT_TRUE(put(image(hex('a'), {hex('1')}), {"docker.io/library/x:latest"}));
  auto victim = start([&](auto tell) {
    auto own = open();
    auto lock = own->lock_for_adding(CancelToken());
    auto record = image(hex('b'), {hex('2')});
    BlobWriter half = BlobWriter::create(paths_).value();
    tell();
    ::pause();
  });
  ASSERT_TRUE(victim->wait_for(1));
  ASSERT_TRUE(store_->sweep());
  EXPECT_TRUE(fs::exists(paths_.layer_data(hex('2'))));
  victim->kill();
  ASSERT_TRUE(store_->lock_for_adding(CancelToken()));
  EXPECT_FALSE(fs::exists(paths_.layer_data(hex('2'))));
  EXPECT_THAT(names_in(paths_.ingest()), IsEmpty());
  EXPECT_TRUE(fs::exists(paths_.layer_data(hex('1'))));
}

TEST_F(ImageStoreTest, KeepsEveryRecordWholeWhenItsWriterIsKilled) {
  for (size_t round = 1; round <= 5; ++round) {
    auto victim = start([&](auto tell) {
      auto own = open();
      for (int i = 0;; ++i) {
        std::string number = std::to_string(i);
        std::string id = sha256_hex(number);
        ImageRecord record = image(id, {hex('1'), hex('2'), hex('3')});
        record.tags = {"docker.io/library/n" + number + ":latest"};
        if (!own->images().put(record)) ::_exit(2);
        if (i % 3 == 2 && !own->images().remove(id)) ::_exit(2);
        tell();
      }
    });
    ASSERT_TRUE(victim->wait_for(round * 4));
    victim->kill();
    auto again = open();
    auto list = again->images().list();
    ASSERT_TRUE(list);
    for (const auto& record : *list) {
      EXPECT_EQ(record.layers.size(), 3U);
      EXPECT_EQ(record.tags.size(), 1U);
    }
  }
}

}  // namespace
}  // namespace diatom::store
