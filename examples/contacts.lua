-- Takes the people out of notes, one object a paragraph: a schema with limits, and a check of what came back.
--   llmspell run examples/contacts.lua -- notes.txt
local text
if ARGS[1] then
  local file = assert(io.open(ARGS[1]))
  text = file:read("a")
  file:close()
else
  text = io.read("a")
end

-- The model can answer nothing else than this; whether it is true is another question. Without a longest length a
-- small model may never end a text.
local line = { type = "string", maxLength = 40 }
local agent = Agent.create {
  model = ARGS.model or "smollm2:135m@candle",
  system_prompt = "Take the person out of the text.",
  schema = {
    type = "object",
    properties = { name = line, town = line, year = { type = "integer", minimum = 0, maximum = 9999 } },
    required = { "name", "town", "year" },
  },
  temperature = 0,
  max_tokens = 120,
  memory_enabled = false,
}

local people, odd = JSON.array(), 0
for paragraph in (text .. "\n\n"):gmatch("(.-)\n%s*\n") do
  if paragraph:match("%S") then
    local person = agent:execute(paragraph).data
    local is_in_text = paragraph:find(person.name, 1, true) ~= nil
    odd = odd + (is_in_text and 0 or 1)
    people[#people + 1] = Utils.merge(person, { text = paragraph, is_in_text = is_in_text })
  end
end
io.stderr:write(("%d people, %d odd\n"):format(#people, odd))
print(JSON.stringify(people, 2))
return people
