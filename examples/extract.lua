-- Takes facts out of a text as JSON: the schema says which, and the model can answer nothing else.
--   echo "Ada Lovelace was born in London in 1815." | llmspell run examples/extract.lua
local text = ARGS[1] or io.read("a")

local agent = Agent.create {
  model = ARGS.model or "smollm2:135m@candle",
  system_prompt = "Take the facts from the text.",
  temperature = 0,
  schema = {
    type = "object",
    properties = {
      name = { type = "string" },
      place = { type = "string" },
      year = { type = "integer" },
    },
    required = { "name", "place", "year" },
  },
}
local person = agent:execute(text).data
print(("%s, %s, %d"):format(person.name, person.place, person.year))
return person
