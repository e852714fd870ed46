-- A function of this script as a tool: it is found, described and called like those that come with llmspell.
--   llmspell run examples/own_tool.lua -- "The launch is on 3 May."
local text = ARGS[1] or io.read("a")

Tool.register {
  name = "word-count",
  description = "Counts the words of a text and the characters in them.",
  parameters = {
    { name = "text", type = "string", required = true, description = "the text" },
    { name = "longer_than", type = "number", default = 0, description = "count only longer words" },
  },
  execute = function(parameters)
    local words, characters = 0, 0
    for word in parameters.text:gmatch("%S+") do
      local length = utf8.len(word) or #word
      if length > (parameters.longer_than or 0) then
        words, characters = words + 1, characters + length
      end
    end
    return { words = words, characters = characters }
  end,
}

local tool = Tool.get("word-count")
for _, parameter in ipairs(tool.schema.parameters) do
  io.stderr:write(("%s (%s): %s\n"):format(parameter.name, parameter.type, parameter.description))
end
local count = tool:execute({ text = text }).result
local long = tool:execute({ text = text, longer_than = 3 }).result
-- A tool may call others.
local mean = Tool.execute("calculator", { input = "c / max(w, 1)", variables = { c = count.characters, w = count.words } })
print(("%d words, %d of them long, %.1f characters each"):format(count.words, long.words, mean.output))
