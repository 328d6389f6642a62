// The memory of this machine and of this process.
#pragma once

#include <cstdint>

namespace halftone {

// All memory of this machine, in bytes.
int64_t physical_memory_bytes();

// The largest resident set of this process so far, in bytes.
int64_t peak_resident_bytes();

// From now on freed memory of up to 32 MiB a piece is kept for what is asked for next, which then
// costs no page faults. Nothing where the allocator offers no such setting.
void keep_freed_memory();

// Gives back to the system what has been freed but is kept by the allocator: a few milliseconds,
// and page faults for what is asked for next. Nothing where the allocator offers no such call.
void return_free_memory();

}  // namespace halftone
