-- Writes the first line of a commit message for a change.
--   git diff --staged | llmspell run examples/commit_message.lua
local change = io.read("a") or ""
if not change:match("%S") then
  error("no change on standard input; try: git diff --staged | llmspell run examples/commit_message.lua", 0)
end

-- A long diff may be longer than the model's context: its beginning says most.
local limit = tonumber(ARGS.limit) or 4000
if #change > limit then
  io.stderr:write(("only the first %d of %d bytes are read\n"):format(limit, #change))
  change = change:sub(1, limit)
end

local agent = Agent.create {
  model = ARGS.model or "smollm2:135m@candle",
  system_prompt = "You write commit messages. Answer with one line of at most 60 characters in the imperative.",
  temperature = 0.2,
  max_tokens = 30,
}
print((agent:execute("The change:\n\n" .. change).text:match("[^\n]+")))
