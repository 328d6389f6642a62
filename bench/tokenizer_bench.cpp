// Bytes of text a second that a tokenizer encodes: tokenizer_bench TOKENIZER TEXT [google-benchmark
// options]
#include <benchmark/benchmark.h>

#include <exception>
#include <iostream>

#include "text/corpus.h"
#include "text/tokenizer.h"

namespace {

void encode(benchmark::State& state, const halftone::Tokenizer& tokenizer,
            const std::string& text) {
  size_t tokens = 0;
  for (auto _ : state) {
    const auto ids = tokenizer.encode(text, true);
    benchmark::DoNotOptimize(ids.data());
    tokens = ids.size();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(text.size()));
  state.counters["tokens"] = static_cast<double>(tokens);
}

int run(const char* tokenizer_path, const char* text_path) {
  const auto tokenizer = halftone::open_tokenizer(tokenizer_path);
  const std::string text = halftone::read_text(text_path);
  benchmark::RegisterBenchmark(tokenizer->description().c_str(), [&](benchmark::State& state) {
    encode(state, *tokenizer, text);
  })->Unit(benchmark::kMillisecond);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (argc != 3) {
    std::cerr << "usage: tokenizer_bench TOKENIZER TEXT\n";
    return 2;
  }
  try {
    return run(argv[1], argv[2]);
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
