-- State keeps values between runs: how often this script has run, and what it was told.
--   llmspell run examples/remember.lua -- "water the plants"
local runs = State.get("remember:runs", 0) + 1
State.set("remember:runs", runs)

local notes = State.get("remember:notes", {})
if ARGS[1] then
  notes[#notes + 1] = { text = ARGS[1], run = runs }
  State.set("remember:notes", notes)
end

print(("run %d"):format(runs))
for _, note in ipairs(notes) do
  print(("  %s (run %d)"):format(note.text, note.run))
end
