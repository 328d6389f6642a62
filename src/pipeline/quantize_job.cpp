#include "pipeline/quantize_job.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/place.h"
#include "kernels/lane_kernels.h"
#include "pipeline/described_model.h"
#include "pipeline/gguf_head.h"
#include "pipeline/gguf_type_rules.h"
#include "pipeline/online_rotation.h"
#include "pipeline/output_place.h"
#include "pipeline/output_plan.h"
#include "pipeline/run_identity.h"
#include "pipeline/source_check.h"
#include "recipe/held_out.h"
#include "recipe/rules.h"
#include "transform/rotated_weights.h"

namespace halftone {
namespace {

PendingOutput::Kind kind_of(const std::string& format) {
  return format.empty() ? PendingOutput::Kind::kFolder : find_format(format).kind;
}

// Where the run may write is looked at before anything is opened. An output called NAME.gguf is
// one.
QuantizeRequest placed(QuantizeRequest request, Look look) {
  if (request.format.empty() && request.out.extension() == ".gguf") request.format = "gguf";
  if (look == Look::kHeaders && request.out.empty()) return request;
  const std::vector<std::filesystem::path> inputs = inputs_of(request);
  require_output(request.out, kind_of(request.format), request.existing(), inputs);
  require_apart(journal_folder(request.out), inputs);
  return request;
}

OpenedModel open_headers(const std::filesystem::path& model) {
  return is_description(model) ? OpenedModel(model, described_model(model)) : OpenedModel(model);
}

// What formats say of a whole model is that of its first linear.
Provenance made_by(const LinearRecipe& recipe) {
  Provenance made;
  if (recipe.objective.kind != ObjectiveKind::kNone) made.damping = recipe.objective.damping;
  made.static_groups = recipe.order.static_groups;
  return made;
}

std::vector<std::string> names_of(const std::vector<LinearSlot>& linears) {
  std::vector<std::string> names;
  for (const LinearSlot& linear : linears) names.push_back(linear.name);
  return names;
}

// With what the output format asks of zero points, so that the report says what was done.
QuantizeRequest fitted_to_format(QuantizeRequest request) {
  if (request.format.empty()) return request;
  const int least = find_format(request.format).least_zero;
  request.recipe = with_zeros_from(least, std::move(request.recipe));
  return request;
}

}  // namespace

QuantizeJob::QuantizeJob(const QuantizeRequest& request, Look look)
    : request_(fitted_to_format(placed(request, look))),
      opened_(look == Look::kHeaders ? open_headers(request.model) : OpenedModel(request.model)),
      execution_(choose_execution(request.device, request.compute, request.threads,
                                  request.recipe.needs_calibration() && !request.imatrix,
                                  request.products)),
      weights_(opened_.weights) {
  require(!opened_.is_quantized(),
          "{}: is quantized already ({}); quantizing again would add its error to that one's",
          request.model.string(), opened_.weights->format());
  const std::string coarse = opened_.weights->coarse_weights();
  require(
      coarse.empty() || request.requantize,
      "{}: weights of fewer than 8 bits already ({}); quantizing again adds its error to theirs: "
      "take a finer source, or add --requantize",
      request.model.string(), coarse);
  require_sources(request, opened_.model.config());
  if (request_.imatrix) request_.recipe = weighed_by_imatrix(std::move(request_.recipe));
  choose_types();
  recipe_ = request_.recipe.resolve(names_of(opened_.model.linears()));
  check_recipe();
  const TransformOptions& transform = recipe_.model.transform;
  if (transform.rotation == RotationKind::kQuaRot) {
    weights_ = std::make_shared<const RotatedWeights>(
        opened_.weights, opened_.model.family(), opened_.model.config(),
        RotationOptions{.seed = request.seed, .online = transform.online});
    transformed_.emplace(weights_);
  }
  if (look == Look::kNumbers) require_finite(opened_);
  read_importances();
  if (kind_of(request_.format) == PendingOutput::Kind::kFile) describe_file();
  choose_matrices();
  fit_scales_to_format();
  if (look == Look::kNumbers) read_texts();
}

void QuantizeJob::read_texts() {
  const bool calibrated = request_.recipe.needs_calibration();
  if (!calibrated && (request_.calibration.empty() || !request_.check)) return;
  if (model().config().reads_images()) {
    open_images(calibrated);
    return;
  }
  texts_.emplace(opened_, request_);
  request_ = texts_->fitted(std::move(request_), model().config(), text_note_);
  if (calibrated) texts_->draw(request_, model().config());
}

void QuantizeJob::open_images(bool calibrated) {
  const QuantizeRequest& request = request_;
  require(request.length == 0, "--length {}: is of texts; {} reads images of {} positions each",
          request.length, model().config().architecture, model().config().context);
  require(recipe_.model.first_token == 1 || !calibrated,
          "objective.first_token = {}: is of language models; the first position of an image is "
          "what its class is read from",
          recipe_.model.first_token);
  require(!request.calibration.empty(),
          "recipe {} needs calibration data: {} reads images, so add --calibration IMAGES",
          request.recipe.name, model().config().architecture);
  const WeighedText& images = request.calibration.front();
  images_.emplace(opened_, images.file);
  image_order_ = drawn_images(images_->count(), request.seed);
  require(!calibrated || request.sequences <= images_->count(),
          "--sequences {}: {} holds {} images", request.sequences, images.place(),
          images_->count());
  if (calibrated) drawn_ = static_cast<size_t>(request.sequences);
}

void QuantizeJob::read_importances() {
  if (!request_.imatrix) return;
  require(request_.calibration.empty(),
          "--imatrix with --calibration: one of them says what counts");
  require(!request_.recipe.needs_calibration(),
          "--imatrix: a [[rule]] of recipe {} sets an objective of its own", request_.recipe.name);
  importances_.emplace(*request_.imatrix, model());
}

void QuantizeJob::choose_types() {
  for (const auto& [option, text] : {std::pair{"--type", request_.type}, {"--mix", request_.mix}})
    require(text.empty() || kind_of(request_.format) == PendingOutput::Kind::kFile,
            "{} {}: is of GGUF files: add --format gguf, or end --out in .gguf", option,
            printable(text));
  require(!request_.shard_bytes || kind_of(request_.format) == PendingOutput::Kind::kFile,
          "--shard-size: is of GGUF files: add --format gguf, or end --out in .gguf");
  require(request_.type.empty() || request_.mix.empty(), "--type {} with --mix {}: one of them",
          printable(request_.type), printable(request_.mix));
  if (!request_.mix.empty()) mix_ = find_mix(request_.mix);
  if (request_.type.empty() && !mix_) return;
  const std::vector<LinearSlot> linears = opened_.model.linears();
  TypedRecipe typed = mix_ ? with_mix(request_.recipe, *mix_, opened_.model.config(), linears)
                           : with_gguf_type(request_.recipe, request_.type, linears);
  require(typed.note.empty() || !request_.strict, "--strict: {}", typed.note);
  request_.recipe = std::move(typed.recipe);
  type_note_ = std::move(typed.note);
}

void QuantizeJob::describe_file() {
  gguf_ = is_description(opened_.path) ? gguf_numbers_of(opened_, model())
                                       : gguf_head_of(opened_, model());
  if (request_.shard_bytes) gguf_->part_bytes = static_cast<size_t>(*request_.shard_bytes);
  if (mix_) gguf_->file_type = mix_->file_type;
}

void QuantizeJob::choose_matrices() {
  const Family& family = model().family();
  const std::string head = model().config().tied_embeddings ? family.embedding : family.head;
  const bool known = !importances_ || importances_->contains(head);
  const std::string &of_embedding = request_.embedding_type, &of_head = request_.head_type;
  if (gguf_) {
    matrix_types_ = matrix_types(family, model().config(), of_embedding, of_head, mix_);
    require(matrix_types_.note.empty() || !request_.strict, "--strict: {}", matrix_types_.note);
    choose_recipes(request_.recipe, family, model().config(), known, matrix_types_);
  } else if (!of_embedding.empty() || !of_head.empty()) {
    matrix_types_ =
        matrix_widths(request_.recipe, family, model().config(), of_embedding, of_head, known);
  }
  for (const NamedTensor& tensor : tensors_of(family, model().config())) {
    const auto found = matrix_types_.recipes.find(tensor.name);
    if (found == matrix_types_.recipes.end()) continue;
    with_context(tensor.name, [&] {
      require_linear(found->second, recipe_.model, tensor.shape[0], tensor.shape[1]);
    });
  }
}

void QuantizeJob::fit_scales_to_format() {
  const OutputPlan plan = output_plan();
  const Format& format =
      request_.format.empty() ? default_format(plan) : find_format(request_.format);
  float16_scales_ = format.scale_type(plan) == at::kHalf;
  for (auto& [name, linear] : recipe_.linears) linear.grid.float16_scales = float16_scales_;
  for (auto& [name, matrix] : matrix_types_.recipes) matrix.grid.float16_scales |= float16_scales_;
}

std::span<const int64_t> QuantizeJob::images_apart(size_t count) const {
  const std::span<const int64_t> apart = std::span(image_order_).subspan(drawn_);
  return apart.first(std::min(count, apart.size()));
}

ModelInputs QuantizeJob::calibration_inputs() const {
  if (drawn_ > 0) return images_->read(std::span(image_order_).first(drawn_));
  if (!calibrated()) return {};
  const TokenWindows& windows = *texts_->windows();
  return at::tensor(windows.ids, at::kInt).view({windows.count, windows.length});
}

OutputPlan QuantizeJob::output_plan() const {
  OutputPlan plan = plan_output(opened_, transformed_ ? weights_->config() : opened_.config_json());
  plan.gguf = gguf_;
  plan_others(*weights_, model().other_tensors(), plan);
  if (transformed_)  // computed in float32, written as the model's own (other_tensor)
    for (PlannedTensor& tensor : plan.others) tensor.dtype = plan.dtype;
  plan_matrix_types(matrix_types_, plan);
  for (const LinearSlot& linear : model().linears())
    plan.linears.push_back({.name = linear.name,
                            .out = linear.out,
                            .in = linear.in,
                            .grid = stored_grid(recipe_.of(linear.name))});
  if (!plan.linears.empty()) plan.made = made_by(recipe_.of(plan.linears.front().name));
  plan_online_rotation(model(), plan);
  return plan;
}

std::vector<std::string> QuantizeJob::notes() const {
  std::vector<std::string> notes = output_notes(opened_);
  if (gguf_ && !gguf_->note.empty()) notes.push_back(gguf_->note);
  for (const std::string& note : {type_note_, matrix_types_.note, text_note_})
    if (!note.empty()) notes.push_back(note);
  if (const std::string coarse = opened_.weights->coarse_weights(); !coarse.empty())
    notes.push_back(fmt::format(
        "the source has weights of fewer than 8 bits ({}): their error is in the result, and no "
        "comparison with this source shows it",
        coarse));
  return notes;
}

int64_t QuantizeJob::held_out_sequences() const {
  const bool any = recipe_.any([](const LinearRecipe& linear) { return linear.target.automatic; });
  return any ? held_out_for_target(request_.sequences) : 0;
}

CalibrationOptions QuantizeJob::calibration_options() const {
  CalibrationOptions options;
  options.two_streams =
      recipe_.any([](const LinearRecipe& linear) { return linear.target.needs_original_stream(); });
  options.held_out = held_out_sequences();
  options.objective = [this](const LinearSlot& linear) {
    return recipe_.of(linear.name).objective;
  };
  options.head = !matrix_types_.head.empty();
  if (importances_)
    options.known = [this](const LinearSlot& linear) {
      return importances_->statistics(linear.name + ".weight", linear.in);
    };
  options.model = recipe_.model;
  options.seed = request_.seed;
  options.memory_limit = request_.memory_limit.value_or(physical_memory_bytes() / 2);
  options.spill_folder = parent_of(request_.out);
  return options;
}

void QuantizeJob::check_recipe() const {
  require_model(recipe_.model);
  for (const LinearSlot& linear : opened_.model.linears())
    with_context(linear.name, [&] {
      const LinearRecipe& recipe = recipe_.of(linear.name);
      require(recipe.objective.kind != ObjectiveKind::kImatrix || request_.imatrix,
              "objective.kind = imatrix needs --imatrix FILE");
      require_linear(recipe, recipe_.model, linear.out, linear.in);
    });
  require_sequences(recipe_, request_.sequences);
}

at::Tensor QuantizeJob::weight(const LinearSlot& linear) const {
  const std::string name = linear.name + ".weight";
  at::Tensor weight = weights_->load(name);
  if (weight.scalar_type() != at::kFloat) {  // exact but for float64, which formats do not hold
    weight = weight.to(at::kFloat);          // and nothing of the mapping is needed any more
    weights_->release(name);
  }
  return weight;
}

at::Tensor QuantizeJob::other_tensor(const std::string& name) const {
  if (!transformed_) return as_written(weights_->load(name));
  const at::ScalarType type = written_type(opened_.model.dtype());
  const at::Tensor rotated = load_copy(*weights_, name, at::kCPU, type);
  require(rotated.isfinite().all().item<bool>(), "{}: a number is too large for {} once rotated",
          name, c10::toString(type));
  return rotated;
}

const RunIdentity& QuantizeJob::identity() const {
  if (!identity_) {
    std::optional<CalibrationIdentity> calibration;
    if (texts_ && texts_->windows())
      calibration = texts_->identity(request_.seed, held_out_sequences());
    if (drawn_ > 0)
      calibration = images_->identity(std::span(image_order_).first(drawn_), request_.seed,
                                      held_out_sequences());
    identity_ =
        run_identity(request_, opened_, calibration, execution_, least_scale(float16_scales_));
    identity_->matrix_types = names_of(matrix_types_);
    if (importances_) identity_->imatrix_sha256 = importances_->sha256();
  }
  return *identity_;
}

}  // namespace halftone
