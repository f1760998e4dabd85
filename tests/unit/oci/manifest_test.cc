#include "oci/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace diatom::oci {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string hex(64, 'b');
const std::string descriptor =
    R"({"mediaType":"application/vnd.oci.image.layer.v1.tar","size":7,"digest":"sha256:)" + hex + "\"}";

template <class Document>
void expect_refused(const Result<Document>& document, std::string_view text, std::string_view field) {
  ASSERT_FALSE(document) << text;
  EXPECT_EQ(document.error().code, Errc::invalid_argument) << text;
  EXPECT_THAT(document.error().message, HasSubstr(field)) << text;
}

TEST(ParseIndex, ReadsDescriptorsWithTheirPlatformAndAnnotations) {
  auto index = parse_index(R"({"schemaVersion":2,"manifests":[{"mediaType":"m","size":3,"digest":"sha256:)" + hex +
                           R"(","platform":{"os":"linux","architecture":"arm64","variant":"v8"},)"
                           R"("annotations":{"org.opencontainers.image.ref.name":"a:b","odd":1}}]})");
  ASSERT_TRUE(index) << index.error().message;
  ASSERT_EQ(index->manifests.size(), 1U);
  const Descriptor& found = index->manifests[0];
  EXPECT_EQ(found.media_type, "m");
  EXPECT_EQ(found.digest.hex(), hex);
  EXPECT_EQ(found.size, 3U);
  EXPECT_EQ(found.platform.os + "/" + found.platform.architecture + "/" + found.platform.variant, "linux/arm64/v8");
  EXPECT_EQ(found.annotations, (std::map<std::string, std::string>{{"org.opencontainers.image.ref.name", "a:b"}}));
}

TEST(ParseIndex, NamesTheFieldThatIsWrong) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "no JSON object"},
      {"[]", "no JSON object"},
      {"{", "no JSON object"},
      {R"({"manifests":{}})", "\"manifests\" is no array"},
      {R"({"manifests":[1]})", "no JSON object"},
      {R"({"manifests":[{"digest":"sha256:)" + hex + "\"}]}", "\"size\" is no size"},
      {R"({"manifests":[{"size":-1,"digest":"sha256:)" + hex + "\"}]}", "\"size\" is no size"},
      {R"({"manifests":[{"size":1.5,"digest":"sha256:)" + hex + "\"}]}", "\"size\" is no size"},
      {R"({"manifests":[{"size":1,"digest":"sha256:../../x"}]})", "digest"},
      {R"({"manifests":[{"size":1,"mediaType":5}]})", "\"mediaType\" is no string"},
      {R"({"manifests":[{"size":1,"platform":"linux"}]})", "platform"},
  };
  for (const auto& [text, field] : cases) expect_refused(parse_index(text), text, field);
}

TEST(ParseManifest, ReadsConfigAndLayersInOrder) {
  auto manifest =
      parse_manifest(R"({"config":)" + descriptor + R"(,"layers":[)" + descriptor + "," + descriptor + "]}");
  ASSERT_TRUE(manifest) << manifest.error().message;
  EXPECT_EQ(manifest->config.size, 7U);
  EXPECT_EQ(manifest->layers.size(), 2U);
  EXPECT_TRUE(is_layer_type(manifest->layers[0].media_type));
}

TEST(ParseManifest, ReadsWhatItPrints) {
  Manifest manifest;
  manifest.media_type = media_type::manifest;
  manifest.config.media_type = media_type::config;
  manifest.config.digest = Digest::from_hex(hex);
  manifest.config.size = UINT64_MAX;
  manifest.layers = {manifest.config};
  auto again = parse_manifest(print_manifest(manifest));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->config.size, UINT64_MAX);
  EXPECT_EQ(print_manifest(*again), print_manifest(manifest));
}

TEST(ParseManifest, RefusesAnIndexAndHalfAManifest) {
  expect_refused(parse_manifest(R"({"manifests":[]})"), "index", "no config");
  expect_refused(parse_manifest(R"({"config":null})"), "null", "no config");
  expect_refused(parse_manifest(R"({"config":[]})"), "list", "no JSON object");
  expect_refused(parse_manifest(R"({"layers":"x","config":)" + descriptor + "}"), "layers", "\"layers\" is no array");
}

// One digest must not stand for two images (CVE-2021-41190).
TEST(Documents, AreAManifestOrAnIndexAndNeverBoth) {
  std::string config = R"("config":)" + descriptor;
  std::string type = R"("mediaType":"application/vnd.oci.image.)";
  const std::pair<std::string, std::string> manifests[] = {
      {"{" + config + R"(,"layers":[],"manifests":[]})", "\"manifests\""},
      {"{" + config + R"(,"layers":[],"fsLayers":[]})", "\"fsLayers\""},
      {"{" + type + "index.v1+json\"," + config + R"(,"layers":[]})", "\"mediaType\""},
      {"{" + type + "manifest.v1+json\\r\\nX-More: 1\"," + config + R"(,"layers":[]})", "\"mediaType\""},
  };
  for (const auto& [text, field] : manifests) expect_refused(parse_manifest(text), text, field);
  const std::pair<std::string, std::string> indexes[] = {
      {R"({"manifests":[],"layers":[]})", "\"layers\""},
      {R"({"manifests":[],)" + config + "}", "\"config\""},
      {"{" + type + R"(manifest.v1+json","manifests":[]})", "\"mediaType\""},
  };
  for (const auto& [text, field] : indexes) expect_refused(parse_index(text), text, field);
  EXPECT_TRUE(parse_index("{" + type + R"(index.v1+json","manifests":[]})"));
  EXPECT_TRUE(parse_manifest("{" + type + "manifest.v1+json\"," + config + R"(,"layers":[],"manifests":null})"));
}

TEST(ParseConfig, ReadsWhatARunNeeds) {
  auto config = parse_config(R"({"os":"linux","architecture":"amd64","created":"2024-01-01T00:00:00Z",)"
                             R"("config":{"Env":["A=1","B="],"Entrypoint":["/x"],"Cmd":null,"WorkingDir":"/w",)"
                             R"("User":"1:2","StopSignal":"SIGINT","ExposedPorts":{"80/tcp":{},"53/udp":null}},)"
                             R"("rootfs":{"type":"layers","diff_ids":["sha256:)" +
                             hex + "\"]}}");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_THAT(config->env, ElementsAre("A=1", "B="));
  EXPECT_THAT(config->entrypoint, ElementsAre("/x"));
  EXPECT_TRUE(config->cmd.empty());
  EXPECT_EQ(config->working_dir, "/w");
  EXPECT_EQ(config->user, "1:2");
  EXPECT_EQ(config->stop_signal, "SIGINT");
  EXPECT_THAT(config->exposed_ports, ElementsAre("53/udp", "80/tcp"));
  EXPECT_EQ(config->platform.architecture, "amd64");
  ASSERT_EQ(config->diff_ids.size(), 1U);
  EXPECT_EQ(config->diff_ids[0].hex(), hex);
}

TEST(ParseConfig, NamesTheFieldThatIsWrong) {
  const std::pair<std::string, std::string> cases[] = {
      {"{}", "no rootfs"},
      {R"({"rootfs":{"type":"tar"}})", "\"type\""},
      {R"({"rootfs":{"type":"layers","diff_ids":["sha256:x"]}})", "digest"},
      {R"({"rootfs":{"type":"layers","diff_ids":[1]}})", "\"diff_ids\""},
      {R"({"config":{"Env":"A=1"}})", "\"Env\" is no array"},
      {R"({"config":{"Cmd":[["sh"]]}})", "\"Cmd\" has an entry that is no string"},
      {R"({"config":5})", "no JSON object"},
      {R"({"os":{}})", "\"os\" is no string"},
  };
  for (const auto& [text, field] : cases) expect_refused(parse_config(text), text, field);
}

TEST(ParseDockerArchive, ReadsEachImage) {
  auto images =
      parse_docker_archive(R"([{"Config":"c.json","RepoTags":["a:b"],"Layers":["x/layer.tar","y/layer.tar"]},)"
                           R"({"Config":"d.json","RepoTags":null,"Layers":[]}])");
  ASSERT_TRUE(images) << images.error().message;
  ASSERT_EQ(images->size(), 2U);
  EXPECT_THAT((*images)[0].layers, ElementsAre("x/layer.tar", "y/layer.tar"));
  EXPECT_THAT((*images)[0].repo_tags, ElementsAre("a:b"));
  EXPECT_TRUE((*images)[1].repo_tags.empty());
  expect_refused(parse_docker_archive("{}"), "object", "no JSON array");
  expect_refused(parse_docker_archive("[{}]"), "empty", "\"Config\" is missing");
}

TEST(Documents, AreBoundedInWidthAndDepth) {
  std::string wide = "[";
  for (int i = 0; i < 5000; ++i) wide += i == 0 ? "{}" : ",{}";
  wide += "]";
  expect_refused(parse_index("{\"manifests\":" + wide + "}"), "wide", "\"manifests\" is too long");
  expect_refused(parse_docker_archive(wide), "wide", "manifest.json");
  std::string deep = std::string(1 << 14, '[') + std::string(1 << 14, ']');
  expect_refused(parse_index(deep), "deep", "deeper than");
  expect_refused(parse_config("{\"config\":" + deep + "}"), "deep", "deeper than");
}

}  // namespace
}  // namespace diatom::oci
