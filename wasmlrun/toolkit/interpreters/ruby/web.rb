# What a Ruby worker of Wasm Workers Server finds: Request, Response and Cache. Such a script defines
# worker(request); the request comes on standard input, the response goes to standard output.

class Cache
  @kept = {}

  class << self
    def init(kept)
      @kept = kept
    end

    def dump
      @kept
    end

    def get(key)
      @kept[key.to_s]
    end

    def set(key, value)
      @kept[key.to_s] = value.to_s
    end

    def delete(key)
      @kept.delete(key.to_s)
    end
  end
end

class Request
  attr_reader :url, :body, :method, :headers, :params

  def initialize(url, body, method, headers, params)
    @url = url
    @body = body
    @method = method
    @headers = headers
    @params = params
  end
end

class Response
  attr_accessor :body, :status_code, :headers

  def initialize(body = "", status_code = 200, headers = {})
    @body = body
    @status_code = status_code
    @headers = headers
  end

  def self.ok(body)
    new(body)
  end

  def self.created(body)
    new(body, 201)
  end

  def self.not_found(body)
    new(body, 404)
  end

  def to_s
    text = WasiNN.__text?(body.to_s)
    JSON.generate(
      "data" => text ? body.to_s : Base64.strict_encode64(body.to_s),
      "headers" => headers,
      "status" => status_code,
      "kv" => Cache.dump,
      "base64" => !text
    )
  end
end

module WasiNN
  # Called when the script has run and defines `worker`.
  def self.__respond(main)
    fields = begin
      JSON.parse($stdin.read)
    rescue JSON::ParserError
      nil
    end
    unless fields.is_a?(Hash) && fields["url"] && fields["method"]
      raise "this script answers requests, and there is none on its standard input; " +
            "try: wasmlrun run --request GET / SCRIPT"
    end
    Cache.init(fields["kv"] || {})
    request = Request.new(fields["url"], fields["body"], fields["method"],
                          fields["headers"] || {}, fields["params"] || {})
    response = main.__send__(:worker, request)
    raise "worker must return a Response" unless response.is_a?(Response)
    __answer(response.to_s)
  end
end
