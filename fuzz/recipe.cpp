// A recipe; what is read is written to be read again, to the same.
#include "recipe/recipe.h"

#include "fuzz_entry.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace halftone;
  return fuzz::check([&] {
    const Recipe recipe = parse_recipe(fuzz::text_of(data, size), "fuzz");
    (void)recipe.for_linear("model.layers.0.mlp.down_proj");
    std::string again;
    try {
      again = to_toml(recipe);
      fuzz::expect(parse_recipe(again, "fuzz") == recipe);
    } catch (const Error&) {
      fuzz::expect(false);
    }
  });
}
