-- Finds out where a script spends its time, with Debug's timers.
--   llmspell run examples/slow_parts.lua -- --rounds 2000
--   llmspell run examples/slow_parts.lua -- --stacks > stacks.txt    # for programs that draw flame graphs
local rounds = tonumber(ARGS.rounds) or 2000

local whole = Debug.timer("everything")

-- What begins while another timer runs is a part of it.
local reading = Debug.timer("make texts")
local texts = {}
for i = 1, rounds do
  texts[i] = ("text %d "):format(i):rep(20)
end
Debug.recordEvent(reading, "texts made", { count = #texts })
reading:stop()

local hashing = Debug.timer("hash")
local seen = {}
for i, text in ipairs(texts) do
  seen[Utils.hash(text)] = i
  if i == rounds // 2 then
    hashing:lap("half")
  end
end
hashing:stop()
whole:stop()

-- Messages have levels and modules; what is not wanted is left out.
Debug.addModuleFilter("noise", false)
Debug.info("nothing to see", "noise")
Debug.info(("%d texts, %s of memory"):format(rounds, Debug.memoryStats().used_bytes), "slow_parts")

if ARGS.stacks then
  print(Debug.flameGraph())
else
  print(Debug.performanceReport())
  print(Debug.dump({ half = hashing.laps[1], texts = #texts }, "figures"))
end
