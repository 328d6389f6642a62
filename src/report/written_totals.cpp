#include "report/written_totals.h"

namespace halftone {

void to_json(nlohmann::json& json, const BitsPerWeight& bits) {
  json = {{"quantized", bits.quantized}, {"quoted", bits.quoted}, {"model", bits.model}};
}

void to_json(nlohmann::json& json, const WrittenTotals& totals) {
  json = {{"bits_per_weight", totals.bits_per_weight}, {"bytes", totals.bytes}};
  if (!totals.caution.empty()) json["caution"] = totals.caution;
}

}  // namespace halftone
