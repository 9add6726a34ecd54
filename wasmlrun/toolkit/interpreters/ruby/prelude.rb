# What a Ruby worker finds: WasiNN, $stdin, $stdout, $stderr, File.read. Ruby's own words.

module WasiNN
  TYPES = { f16: 0, f32: 1, u8: 3, i8: 3, i32: 4, i64: 5 }

  # A call that the host refused; `number` is WASI-NN's.
  class Error < StandardError
    attr_reader :number

    def initialize(message, number = 0)
      super(message)
      @number = number
    end
  end

  class InvalidArgument < Error; end
  class NotFound < Error; end

  def self.fail(what, number, text)
    kind = { 1 => InvalidArgument, 8 => NotFound }[number] || Error
    raise kind.new("#{what}: #{text}", number)
  end

  # A model's input: its dimensions, :u8, :f32 … and its bytes in a String.
  class Tensor
    attr_reader :dims, :type, :data

    def initialize(dims, type, data)
      raise ArgumentError, "unknown type #{type}" unless TYPES.key?(type.to_sym)
      @dims = dims
      @type = type.to_sym
      @data = data
    end
  end

  # A loaded model.
  class Graph
    def self.load_by_name(name)
      new(WasiNN.__load_by_name(name))
    end

    def initialize(handle)
      @handle = handle
    end

    def open
      Context.new(WasiNN.__open(@handle))
    end
  end

  # A model's inputs and outputs for one computation after another.
  class Context
    def initialize(handle)
      @handle = handle
    end

    def set_input(index, tensor)
      WasiNN.__set_input(@handle, index, tensor.dims, TYPES[tensor.type], tensor.data)
      self
    end

    def compute
      WasiNN.__compute(@handle)
      self
    end

    # The output's bytes: unpack("e*") makes floats of them, bytes makes 8-bit numbers.
    def output(index)
      WasiNN.__get_output(@handle, index)
    end
  end
end

class WasiStream
  def initialize(number)
    @number = number
  end

  def read
    WasiNN.__read("-")
  end

  def gets
    text = read
    text.empty? ? nil : text
  end

  def binmode
    self
  end

  def write(*parts)
    parts.each { |part| WasiNN.__write(@number, part.to_s) }
  end

  def print(*parts)
    write(*parts)
    nil
  end

  def puts(*lines)
    write("\n") if lines.empty?
    lines.flatten.each do |line|
      text = line.to_s
      write(text.end_with?("\n") ? text : text + "\n")
    end
    nil
  end

  def printf(*parts)
    write(sprintf(*parts))
    nil
  end
end

$stdin = STDIN = WasiStream.new(0)
$stdout = STDOUT = WasiStream.new(1)
$stderr = STDERR = WasiStream.new(2)

class IO
  def self.binread(path)
    WasiNN.__read(path)
  end

  def self.read(path, **_)
    WasiNN.__read(path)
  end
end

class File < IO
end

module Kernel
  # what a script may require is here already
  def require(name)
    return true if %w[json base64 set].include?(name)
    raise LoadError, "cannot load such file -- #{name}"
  end

  def print(*parts)
    $stdout.print(*parts)
  end

  def puts(*lines)
    $stdout.puts(*lines)
  end

  def p(*values)
    values.each { |value| $stdout.puts(value.inspect) }
    values.size <= 1 ? values.first : values
  end

  def printf(*parts)
    $stdout.printf(*parts)
  end

  def warn(*lines)
    $stderr.puts(*lines)
  end

  def abort(message = nil)
    warn(message) if message
    exit(1)
  end
end
