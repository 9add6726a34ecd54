# JSON and base64, as Ruby's own libraries name them.

class LoadError < ScriptError; end unless Object.const_defined?(:LoadError)

module Base64
  def self.strict_encode64(bytes)
    [bytes].pack("m0")
  end

  def self.encode64(bytes)
    [bytes].pack("m")
  end

  def self.decode64(text)
    text.unpack("m")[0]
  end
end

module JSON
  class ParserError < StandardError; end
  class GeneratorError < StandardError; end

  def self.parse(text, symbolize_names: false)
    Reader.new(text, symbolize_names).document
  end

  def self.generate(value, *_)
    Writer.new(nil).text(value)
  end

  def self.dump(value)
    generate(value)
  end

  def self.pretty_generate(value)
    Writer.new("  ").text(value)
  end

  # Reads one document. Strings are cut where something follows, never character by character.
  class Reader
    SPACE = [32, 9, 10, 13]
    SIMPLE = { 34 => "\"", 92 => "\\", 47 => "/", 98 => "\b", 102 => "\f", 110 => "\n",
               114 => "\r", 116 => "\t" }
    MOST_DEEP = 100

    def initialize(text, symbolize)
      @text = text
      @symbolize = symbolize
      @at = 0
      @deep = 0
    end

    def document
      found = value
      space
      fault unless @at >= @text.bytesize
      found
    end

    private

    def fault
      raise ParserError, "unexpected text at byte #{@at}"
    end

    def space
      @at += 1 while SPACE.include?(@text.getbyte(@at))
    end

    def value
      space
      case @text.getbyte(@at)
      when 123 then nested { object }
      when 91 then nested { array }
      when 34 then string
      when 116 then word("true", true)
      when 102 then word("false", false)
      when 110 then word("null", nil)
      else number
      end
    end

    def nested
      @deep += 1
      raise ParserError, "nesting of #{@deep} is too deep" if @deep > MOST_DEEP
      @at += 1
      found = yield
      @deep -= 1
      found
    end

    def word(text, meaning)
      fault unless @text.byteslice(@at, text.bytesize) == text
      @at += text.bytesize
      meaning
    end

    def object
      found = {}
      space
      return closed(found) if @text.getbyte(@at) == 125
      while true
        space
        fault unless @text.getbyte(@at) == 34
        key = string
        space
        fault unless @text.getbyte(@at) == 58
        @at += 1
        found[@symbolize ? key.to_sym : key] = value
        return closed(found) unless another?(125)
      end
    end

    def array
      found = []
      space
      return closed(found) if @text.getbyte(@at) == 93
      while true
        found << value
        return closed(found) unless another?(93)
      end
    end

    def closed(found)
      @at += 1
      found
    end

    def another?(closing)
      space
      following = @text.getbyte(@at)
      return false if following == closing
      fault unless following == 44
      @at += 1
      true
    end

    def number
      start = @at
      @at += 1 while (byte = @text.getbyte(@at)) && of_number?(byte)
      text = @text.byteslice(start, @at - start)
      fault if text.empty? || text == "-"
      text.include?(".") || text.include?("e") || text.include?("E") ? Float(text) : Integer(text)
    rescue ArgumentError
      fault
    end

    # a digit, or one of - + . e E
    def of_number?(byte)
      (byte >= 48 && byte <= 57) || [45, 43, 46, 101, 69].include?(byte)
    end

    def string
      @at += 1
      quote = @text.byteindex("\"", @at) || fault
      escape = @text.byteindex("\\", @at)
      if escape.nil? || escape > quote
        found = @text.byteslice(@at, quote - @at)
        @at = quote + 1
        return found
      end
      escaped
    end

    def escaped
      found = ""
      while true
        quote = @text.byteindex("\"", @at) || fault
        escape = @text.byteindex("\\", @at)
        if escape.nil? || escape > quote
          found << @text.byteslice(@at, quote - @at)
          @at = quote + 1
          return found
        end
        found << @text.byteslice(@at, escape - @at)
        @at = escape + 1
        code = @text.getbyte(@at)
        @at += 1
        found << (code == 117 ? character : SIMPLE[code] || fault)
      end
    end

    def character
      code = four
      if code >= 0xd800 && code < 0xdc00 && @text.byteslice(@at, 2) == "\\u"
        @at += 2
        code = 0x10000 + ((code - 0xd800) << 10) + (four - 0xdc00)
      end
      [code].pack("U")
    end

    def four
      digits = @text.byteslice(@at, 4)
      @at += 4
      Integer(digits, 16)
    rescue ArgumentError, TypeError
      fault
    end
  end

  class Writer
    ESCAPES = { "\"" => "\\\"", "\\" => "\\\\", "\n" => "\\n", "\r" => "\\r", "\t" => "\\t" }

    def initialize(indent)
      @indent = indent
    end

    def text(value, depth = 0)
      case value
      when nil then "null"
      when true, false, Integer then value.to_s
      when Float then number(value)
      when String then quoted(value)
      when Symbol then quoted(value.to_s)
      when Array then list("[", "]", value.map { |item| text(item, depth + 1) }, depth)
      when Hash then list("{", "}", pairs(value, depth), depth)
      else value.respond_to?(:to_h) ? text(value.to_h, depth) : quoted(value.to_s)
      end
    end

    private

    def pairs(hash, depth)
      colon = @indent ? ": " : ":"
      hash.map { |key, value| quoted(key.to_s) + colon + text(value, depth + 1) }
    end

    def list(opening, closing, items, depth)
      return opening + closing if items.empty?
      return opening + items.join(",") + closing unless @indent
      inner = "\n" + @indent * (depth + 1)
      opening + inner + items.join("," + inner) + "\n" + @indent * depth + closing
    end

    def number(value)
      raise GeneratorError, "#{value} is no number of JSON" if value.nan? || value.infinite?
      value.to_s
    end

    def quoted(text)
      return "\"" + text + "\"" unless special?(text)
      "\"" + text.bytes.map { |byte| byte_text(byte) }.join + "\""
    end

    def special?(text)
      return true if text.include?("\"") || text.include?("\\") || text.include?("\n")
      text.bytes.any? { |byte| byte < 32 }
    end

    def byte_text(byte)
      return ESCAPES[byte.chr] || format("\\u%04x", byte) if byte < 32 || byte == 34 || byte == 92
      byte.chr
    end
  end
end

class Object
  def to_json(*_)
    JSON.generate(self)
  end
end
