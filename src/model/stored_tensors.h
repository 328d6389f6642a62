// What the files of a model hold against what its config.json asks for.
#pragma once

#include "checkpoint/weight_source.h"
#include "model/family.h"

namespace halftone {

// Makes `config` ask for what is stored without being asked for, where the architecture can say so:
// a head of its own beside embeddings that are called tied (as transformers 5 does), biases of
// linears where all of their kind are there. Each is a line of config.notes and a key of
// config.unasked.
void fit_to_stored(const WeightSource& source, const Family& family, ModelConfig& config);

// Everything the config asks for is stored, in its shape and in numbers of a weight, and nothing
// else is that would change the model. Errors: the tensor's name and what is wrong.
void check_tensors(const WeightSource& source, const Family& family, const ModelConfig& config);

}  // namespace halftone
