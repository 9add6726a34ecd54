// WASI-NN for C++23: the imports of a core module behind std::expected, one header.
//
// WebAssembly compilers build C++ without exceptions, so a failure is a value here.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string_view>
#include <vector>

namespace wasi_nn {

enum class Error : std::uint32_t {
  invalid_argument = 1, invalid_encoding, missing_memory, busy, runtime_error,
  unsupported_operation, too_large, not_found,
};
enum class Type : std::uint8_t { f16 = 0, f32 = 1, u8 = 3, i32 = 4, i64 = 5 };

template <typename T>
using Result = std::expected<T, Error>;

constexpr std::string_view text(Error error) {
  constexpr std::string_view texts[] = {
      "unknown error", "invalid argument", "invalid encoding", "missing memory", "busy",
      "runtime error", "unsupported operation", "too large", "not found"};
  const auto number = static_cast<std::uint32_t>(error);
  return texts[number < std::size(texts) ? number : 0];
}

// An i8 tensor is given as Type::u8.
struct Tensor {
  std::span<const std::uint32_t> dims;
  Type type;
  std::span<const std::uint8_t> data;
};

namespace raw {
struct Record {
  const std::uint32_t *dims;
  std::uint32_t rank;
  std::uint8_t type;
  const std::uint8_t *data;
  std::uint32_t size;
};
#define NN_IMPORT(name) \
  extern "C" [[clang::import_module("wasi_ephemeral_nn"), clang::import_name(name)]]
NN_IMPORT("load_by_name")
std::uint32_t nn_load_by_name(const char *, std::uint32_t, std::uint32_t *);
NN_IMPORT("init_execution_context") std::uint32_t nn_open(std::uint32_t, std::uint32_t *);
NN_IMPORT("set_input")
std::uint32_t nn_set_input(std::uint32_t, std::uint32_t, const Record *);
NN_IMPORT("compute") std::uint32_t nn_compute(std::uint32_t);
NN_IMPORT("get_output")
std::uint32_t nn_get_output(std::uint32_t, std::uint32_t, void *, std::uint32_t,
                            std::uint32_t *);
#undef NN_IMPORT
}  // namespace raw

template <typename T>
Result<T> result(std::uint32_t number, T value) {
  if (number != 0) return std::unexpected(static_cast<Error>(number));
  return value;
}

class Context {
 public:
  explicit Context(std::uint32_t handle) : handle_(handle) {}

  Result<Context> set_input(std::uint32_t index, const Tensor &tensor) const {
    const raw::Record record{tensor.dims.data(), std::uint32_t(tensor.dims.size()),
                             std::uint8_t(tensor.type), tensor.data.data(),
                             std::uint32_t(tensor.data.size())};
    return result(raw::nn_set_input(handle_, index, &record), *this);
  }

  Result<Context> compute() const { return result(raw::nn_compute(handle_), *this); }

  Result<std::vector<std::uint8_t>> output(std::uint32_t index) const {
    std::vector<std::uint8_t> data(16384);
    for (;;) {
      std::uint32_t size = 0;
      const auto number =
          raw::nn_get_output(handle_, index, data.data(), data.size(), &size);
      if (number == std::uint32_t(Error::too_large) && size > data.size()) {
        data.resize(size);  // the host has said how much it is
        continue;
      }
      if (number == 0) data.resize(size);
      return result(number, std::move(data));
    }
  }

 private:
  std::uint32_t handle_;
};

class Graph {
 public:
  static Result<Graph> load_by_name(std::string_view name) {
    std::uint32_t handle = 0;
    const auto number = raw::nn_load_by_name(name.data(), name.size(), &handle);
    return result(number, Graph(handle));
  }

  Result<Context> open() const {
    std::uint32_t handle = 0;
    const auto number = raw::nn_open(handle_, &handle);
    return result(number, Context(handle));
  }

 private:
  explicit Graph(std::uint32_t handle) : handle_(handle) {}
  std::uint32_t handle_;
};

}  // namespace wasi_nn
