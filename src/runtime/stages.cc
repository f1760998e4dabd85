#include "runtime/stages.h"

#include "channel/json_fields.h"

namespace diatom {

namespace {

struct Stages {
  std::vector<StageTime> stages;
};

constexpr auto stage_fields = [](auto& field, auto& stage) {
  field("name", stage.name);
  field("time_ns", stage.time_ns);
};

constexpr auto stages_fields = [](auto& field, auto& all) { field.list("stages", all.stages, stage_fields); };

}  // namespace

std::string encode_stages(const std::vector<StageTime>& stages) {
  return channel::encode_fields(Stages{stages}, stages_fields);
}

std::vector<StageTime> decode_stages(std::string_view text) {
  auto decoded = channel::decode_fields<Stages>("the stages of a container", text, stages_fields);
  return decoded ? std::move(decoded->stages) : std::vector<StageTime>();
}

}  // namespace diatom
