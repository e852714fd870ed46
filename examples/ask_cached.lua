-- Asks a model, and keeps the answers in a file: the same question again costs nothing. A model that fails is asked again.
--   llmspell run --allow-write=answers.json examples/ask_cached.lua -- "Why is the sky blue?"
local question = ARGS[1] or error("usage: llmspell run --allow-write=answers.json examples/ask_cached.lua -- QUESTION", 0)
local model = ARGS.model or "smollm2:135m@candle"
local path = ARGS.cache or "answers.json"
local key = Utils.hash(model .. "\n" .. question)

local answers = {}
local file = io.open(path)
if file then
  answers = JSON.parse(file:read("a"))
  file:close()
end
if answers[key] then
  io.stderr:write("from " .. answers[key].asked_at .. "\n")
  print(answers[key].answer)
  return
end

local function ask(tries)
  for try = 1, tries do
    local ok, answer = pcall(LocalLLM.chat, { model = model, prompt = question, max_tokens = 100 })
    if ok then
      return Utils.trim(answer.text)
    end
    io.stderr:write(("try %d of %d: %s\n"):format(try, tries, answer))
    if try < tries then
      Utils.sleep(0.1 * 2 ^ try) -- longer each time
    end
  end
  os.exit(1)
end

answers[key] = { id = Utils.uuid(), answer = ask(tonumber(ARGS.tries) or 3), asked_at = Utils.timestamp() }
file = assert(io.open(path, "w"))
file:write(JSON.stringify(answers, 2))
file:close()
print(answers[key].answer)
