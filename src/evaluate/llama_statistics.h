// The numbers that llama-perplexity prints with --kl-divergence (methods.md 12.1): every scored
// token counts by itself, and errors are those of independent tokens.
#pragma once

#include <vector>

#include "evaluate/score.h"

namespace halftone {

// A mean and its standard error.
struct TokenMean {
  double value = 0, error = 0;
};

// A mean over the tokens, and what shares of them lie below.
struct TokenDistribution {
  TokenMean mean;
  std::vector<double> sorted;
  // Linear interpolation at p (n - 1), p in [0, 1].
  double quantile(double p) const;
};

struct LlamaStatistics {
  TokenMean perplexity, base_perplexity;
  double correlation = 0;  // of the two log-perplexities
  TokenMean log_ratio, ratio, difference;
  TokenDistribution kl;      // nats
  TokenDistribution change;  // of the next token's probability, model less base
  TokenMean change_rms;
  TokenMean same_top;
};

// Error of the caller: scores without a reference, or of fewer than two positions.
LlamaStatistics llama_statistics(const Scores& scores);

}  // namespace halftone
