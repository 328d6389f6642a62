// How long work tells where it stands. The library only calls this; cli/ draws it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace halftone {

class Progress {
 public:
  virtual ~Progress() = default;
  // A step of `total` units begins ("calibrate", "evaluate").
  virtual void begin(std::string_view step, int64_t total) = 0;
  // After `begin`: so many units were finished before, and say nothing about how long the rest
  // takes.
  virtual void start_at(int64_t /*done*/) {}
  // `done` units are finished; `detail` names the layer at hand. Throws Interrupted after Ctrl-C.
  virtual void update(int64_t done, std::string_view detail) = 0;
  virtual void end() = 0;
};

// Says nothing.
class SilentProgress final : public Progress {
 public:
  void begin(std::string_view, int64_t) override {}
  void update(int64_t, std::string_view) override {}
  void end() override {}
};

// The user asked to stop (exit status 130).
struct Interrupted {
  std::string kept;  // what is left to go on from; empty: nothing
};

}  // namespace halftone
