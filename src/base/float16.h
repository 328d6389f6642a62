// Rounding to what a file stores as float16.
#pragma once

namespace halftone {

// The float16 number nearest to x, half to even; beyond +-65504 that. Rounded once: by way of
// float32 a number could be moved twice.
float nearest_float16(double x);

}  // namespace halftone
