// An image classifier: the picture's tensor on stdin, the five best classes on stdout.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "wasi_nn.hpp"

namespace {

[[noreturn]] void fail(std::string_view what, std::string_view why) {
  std::fprintf(stderr, "classify: %s: %s\n", std::string(what).c_str(),
               std::string(why).c_str());
  std::exit(1);
}

template <typename T>
T expect(wasi_nn::Result<T> result, std::string_view what) {
  if (!result) fail(what, wasi_nn::text(result.error()));
  return std::move(*result);
}

std::string_view variable(const char *name) {
  const char *value = std::getenv(name);
  if (value == nullptr) fail(name, "is not set; run this worker with wasmlrun classify");
  return value;
}

std::vector<std::uint32_t> numbers(std::string text) {
  std::vector<std::uint32_t> found;
  for (char *n = std::strtok(text.data(), ","); n; n = std::strtok(nullptr, ","))
    found.push_back(std::atoi(n));
  return found;
}

wasi_nn::Type type_named(std::string_view name) {
  if (name == "f32") return wasi_nn::Type::f32;
  if (name == "f16") return wasi_nn::Type::f16;
  return wasi_nn::Type::u8;  // i8 as well: WASI-NN has no type of its own for it
}

std::vector<std::uint8_t> read_stdin() {
  std::vector<std::uint8_t> data, part(1 << 16);
  while (const auto got = std::fread(part.data(), 1, part.size(), stdin))
    data.insert(data.end(), part.begin(), part.begin() + got);
  return data;
}

std::vector<float> scores_of(const std::vector<std::uint8_t> &output, std::string_view type) {
  std::vector<float> scores(type == "u8" ? output.size() : output.size() / sizeof(float));
  if (type == "u8")
    std::ranges::transform(output, scores.begin(), [](auto n) { return n / 256.0f; });
  else
    std::memcpy(scores.data(), output.data(), scores.size() * sizeof(float));
  return scores;
}

}  // namespace

int main() {
  // 1. Read the tensor: its shape and type from the environment, its bytes from stdin.
  const auto dims = numbers(std::string(variable("WASMLRUN_INPUT_SHAPE")));
  const auto picture = read_stdin();
  const auto type = type_named(variable("WASMLRUN_INPUT_TYPE"));

  // 2. Load the model by the name that the host knows it by.
  const auto graph =
      expect(wasi_nn::Graph::load_by_name(variable("WASMLRUN_MODEL")), "cannot load the model");
  const auto context = expect(graph.open(), "cannot open the model");

  // 3. Run it.
  expect(context.set_input(0, {dims, type, picture}), "the model refuses the picture");
  expect(context.compute(), "cannot run the model");
  const auto output = expect(context.output(0), "cannot read the scores");

  // 4. Rank: the five best scores, the lower index first where two are equal.
  const auto scores = scores_of(output, variable("WASMLRUN_OUTPUT_TYPE"));
  std::vector<int> classes(scores.size());
  std::iota(classes.begin(), classes.end(), 0);
  std::ranges::stable_sort(classes, [&](int a, int b) { return scores[a] > scores[b]; });
  classes.resize(std::min<std::size_t>(5, classes.size()));

  // 5. Answer with lines of INDEX<TAB>SCORE.
  for (const int i : classes) std::printf("%d\t%.9g\n", i, scores[i]);
  return 0;
}
