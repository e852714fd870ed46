-- Asks a model one question and prints its answer as it comes.
--   llmspell run chat.lua -- "Why is the sky blue?"
local question = ARGS[1] or "Say hello in one short sentence."

local agent = Agent.builder()
    :model(ARGS.model or "smollm2:135m@candle")
    :system_prompt("You are a helpful assistant. Answer in one or two sentences.")
    :temperature(0.2)
    :build()

agent:invokeStream(question, function(chunk)
    io.write(chunk.text or "")
end)
print()
