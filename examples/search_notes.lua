-- Notes of two teams, found by what they mean: a team sees its own notes alone, and filters choose among them.
--   LLMSPELL_RAG_ENABLED=true llmspell run examples/search_notes.lua -- "Where do we meet?" --team north
--   LLMSPELL_RAG_ENABLED=true llmspell run examples/search_notes.lua -- money --team south --years 2023,2024 --kind plan
local question = ARGS[1] or error("usage: llmspell run examples/search_notes.lua -- QUESTION [--team NAME]", 0)
local team = ARGS.team or "north"

local function note(tenant, id, year, kind, text)
  return { tenant_id = tenant, id = id, text = text, metadata = { year = year, kind = kind } }
end

-- Each note goes to the place of its team. What is there already and has not changed costs a look.
RAG.ingest({
  note("north", "room", 2024, "minutes", "From May on we meet on Mondays in the room above the bakery."),
  note("north", "budget", 2024, "plan", "The budget for next year is 12,000 euros, a third of it for travel."),
  note("north", "library", 2022, "minutes", "Meetings take place in the library until the end of the year."),
  note("south", "boat", 2023, "minutes", "The boat is paid: 8,400 euros, in two parts."),
  note("south", "engine", 2024, "plan", "We take a loan of 5,000 euros for the new engine."),
}, { collection = "notes" })

local filter = { kind = ARGS.kind }
if ARGS.years then
  filter.year = {} -- any of these
  for year in ARGS.years:gmatch("%d+") do
    table.insert(filter.year, tonumber(year))
  end
end

local found = RAG.search(question, { tenant_id = team, collection = "notes", k = 2, metadata_filter = filter })
for _, one in ipairs(found) do
  print(("%s (%d, %s): %s"):format(one.id, one.metadata.year, one.metadata.kind, one.text))
end
if #found == 0 then
  print("No note of team " .. team .. " fits.")
end
