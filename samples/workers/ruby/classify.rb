# An image classifier: the picture's tensor on stdin, the five best classes on stdout.

# 1. Read the tensor: its shape and type from the environment, its bytes from stdin.
dims = ENV.fetch("WASMLRUN_INPUT_SHAPE").split(",").map(&:to_i)
input = WasiNN::Tensor.new(dims, ENV.fetch("WASMLRUN_INPUT_TYPE"), $stdin.read)

# 2. Load the model by the name that the host knows it by.
graph = WasiNN::Graph.load_by_name(ENV.fetch("WASMLRUN_MODEL"))
context = graph.open

# 3. Run it.
context.set_input(0, input)
context.compute
output = context.output(0)

# 4. Rank: the five best scores, the lower index first where two are equal.
scores = if ENV.fetch("WASMLRUN_OUTPUT_TYPE") == "u8"
  output.bytes.map { |n| n / 256.0 }
else
  output.unpack("e*")
end
classes = (0...scores.size).sort_by { |i| [-scores[i], i] }.first(5)

# 5. Answer with lines of INDEX<TAB>SCORE.
classes.each { |i| puts "#{i}\t#{scores[i]}" }
