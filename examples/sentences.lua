-- An answer sentence by sentence, while the model still writes: streams can be made of streams.
--   llmspell run examples/sentences.lua -- "Tell me three things about the sea."
local agent = Agent.create {
  model = ARGS.model or "smollm2:135m@candle",
  temperature = 0,
  max_tokens = tonumber(ARGS["max-tokens"]) or 80,
}

-- A stream of whole sentences, made of a stream of pieces.
local function sentences(pieces)
  return Streaming.create(function()
    local text = ""
    for chunk in pieces do
      text = text .. chunk.text
      local sentence, rest = text:match("^(.-[.!?])%s+(.*)$")
      while sentence do
        Streaming.yield(sentence)
        text = rest
        sentence, rest = text:match("^(.-[.!?])%s+(.*)$")
      end
    end
    -- What a stream's function returns is its last value.
    return text:match("%S") and text or nil
  end)
end

local number = 0
sentences(agent:stream(ARGS[1] or "Tell me three things about the sea.")):each(function(sentence)
  number = number + 1
  print(number .. ". " .. Utils.trim(sentence))
  return number < (tonumber(ARGS.most) or 10) -- false ends it, and the model stops writing
end)
