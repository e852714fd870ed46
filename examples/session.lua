#!/usr/bin/env -S llmspell run --
-- A session of its own: an answer is recorded and kept in it, and then given again from the record.
-- LLMSPELL_SESSIONS_ENABLED=true llmspell run examples/session.lua -- "What is the capital of France?"

local question = ARGS[1] or "What is the capital of France?"

local id = Session.create { name = "example", tags = { "examples" } }
Session.set_current(id)
local answer = LocalLLM.chat { prompt = question, temperature = 0, max_tokens = 40 }
print("Question: " .. question)
print("Answer:   " .. answer.text)

local ref = Artifact.store("", "agent_output", "answer.txt", answer.text, { tags = { "answers" } })
print(("Kept as artifact %d, sha256 %s…"):format(ref.sequence, ref.content_hash:sub(1, 12)))
print("Read again: " .. tostring(Artifact.get(id, ref).content == answer.text))

Session.set_current(nil)
Session.complete(id)

local config = Replay.create_config(Replay.modes.exact, { compare_results = true })
local replay = Session.replay(id, config)
for _, step in ipairs(replay.steps) do
  print(("Replayed step %s (%s): %s"):format(step.step, step.action, step.status))
end
