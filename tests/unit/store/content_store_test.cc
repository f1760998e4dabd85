#include "store/content_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/store_fixture.h"

namespace diatom::store {
namespace {

using test::bytes_of;
using testing::ElementsAre;
using testing::IsEmpty;

class ContentStoreTest : public test::StoreTest {
 protected:
  Blob put(std::string_view content) {
    BlobWriter writer = BlobWriter::create(paths_).value();
    EXPECT_TRUE(writer.write(bytes_of(content.substr(0, content.size() / 2))));
    EXPECT_TRUE(writer.write(bytes_of(content.substr(content.size() / 2))));
    return writer.commit().value();
  }
};

TEST_F(ContentStoreTest, FilesABlobUnderTheDigestOfWhatWasWritten) {
  Blob blob = put("abc");
  EXPECT_EQ(blob.digest.text(), "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(blob.size, 3U);
  EXPECT_EQ(read_blob(paths_, blob.digest).value(), "abc");
  EXPECT_THAT(names_in(paths_.blobs()), ElementsAre(blob.digest.hex()));
  EXPECT_THAT(names_in(paths_.ingest()), IsEmpty());
}

TEST_F(ContentStoreTest, StoresTheSameContentOnce) {
  Blob first = put("same");
  Blob second = put("same");
  EXPECT_EQ(first.digest, second.digest);
  EXPECT_EQ(names_in(paths_.blobs()).size(), 1U);
  put("");
  EXPECT_EQ(names_in(paths_.blobs()).size(), 2U);
}

TEST_F(ContentStoreTest, ForgetsWhatWasNotCommitted) {
  {
    BlobWriter writer = BlobWriter::create(paths_).value();
    ASSERT_TRUE(writer.write(bytes_of("half")));
    EXPECT_EQ(names_in(paths_.ingest()).size(), 1U);
  }
  EXPECT_THAT(names_in(paths_.ingest()), IsEmpty());
  EXPECT_THAT(names_in(paths_.blobs()), IsEmpty());
}

TEST_F(ContentStoreTest, MovesAnIngestToItsNameAndReplacesItsEqual) {
  for (int twice = 0; twice < 2; ++twice) {
    Ingest ingest = Ingest::create(paths_).value();
    ASSERT_TRUE(write_all(ingest.fd(), std::string_view("data")));
    ASSERT_TRUE(ingest.commit(paths_.layer_data("aa")));
  }
  EXPECT_EQ(read_file(paths_.layer_data("aa")).value(), "data");
  Ingest lost = Ingest::create(paths_).value();
  EXPECT_FALSE(lost.commit(paths_.home / "no-such-folder" / "x"));
}

TEST_F(ContentStoreTest, NamesABlobThatIsNotThere) {
  auto digest = oci::Digest::from_hex(std::string(64, 'a'));
  auto missing = read_blob(paths_, digest);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Errc::not_found);
  EXPECT_THAT(missing.error().message, testing::HasSubstr(digest.text()));
  EXPECT_FALSE(missing.error().hint.empty());
}

TEST_F(ContentStoreTest, ReadsNoDocumentBeyondFourMebibytes) {
  EXPECT_TRUE(read_blob(paths_, put(std::string(4 << 20, 'x')).digest));
  EXPECT_EQ(read_blob(paths_, put(std::string((4 << 20) + 1, 'x')).digest).error().code, Errc::invalid_argument);
}

TEST_F(ContentStoreTest, TellsADamagedDocument) {
  Blob blob = put("document");
  for (const char* damaged : {"docu", "documenT", ""}) {
    ASSERT_TRUE(replace_file(paths_.blobs() / blob.digest.hex(), damaged));
    auto refused = read_blob(paths_, blob.digest);
    ASSERT_FALSE(refused) << damaged;
    EXPECT_EQ(refused.error().code, Errc::internal);
    EXPECT_THAT(refused.error().message, testing::HasSubstr(blob.digest.text()));
  }
  put("document");
  EXPECT_TRUE(read_blob(paths_, blob.digest)) << "put again, it is whole again";
}

TEST_F(ContentStoreTest, HasNothingHalfWrittenUnderADigestAfterAnyKill) {
  for (size_t round = 1; round <= 5; ++round) {
    test::Victim victim([&](auto tell) {
      for (uint32_t i = 0;; ++i) {
        BlobWriter writer = BlobWriter::create(paths_).value();
        for (int piece = 0; piece < 8; ++piece)
          if (!writer.write(bytes_of(test::noise(10'000, i + 100)))) ::_exit(2);
        if (!writer.commit()) ::_exit(2);
        tell();
      }
    });
    ASSERT_TRUE(victim.wait_for(round));
    victim.kill();
    for (const std::string& name : names_in(paths_.blobs()))
      EXPECT_EQ(sha256_hex(read_file(paths_.blobs() / name).value()), name);
    ASSERT_TRUE(open()->sweep());
    EXPECT_THAT(names_in(paths_.ingest()), IsEmpty());
    EXPECT_THAT(names_in(paths_.blobs()), IsEmpty()) << "no image needs them";
  }
}

}  // namespace
}  // namespace diatom::store
