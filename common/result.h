// A value or an error for people. Used outside the packet path; the packet path returns counted reasons instead.
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace hawser {

// CLI.md, "Exit codes": what a command exits with.
enum class ExitCode : int {
  ok = 0,
  unexpected = 1,
  usage = 2,
  not_running = 3,
  permission = 4,
  configuration = 5,
  no_answer = 6,
  refused = 7,
  system_integration = 8,
  no_round_trip = 9,
  conflict = 10,
  interrupted = 130,
};

// What went wrong, where, why, and what to do next, ready to print after "vpn-xxx: ".
struct Error {
  ExitCode code = ExitCode::unexpected;
  std::string message;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const { return state_.index() == 0; }
  T& operator*() { return std::get<0>(state_); }
  const T& operator*() const { return std::get<0>(state_); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }
  const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

// Success without a value, or an error.
struct Done {};
using Status = Result<Done>;

}  // namespace hawser
