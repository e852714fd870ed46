-- An agent that looks things up: it searches your files with a tool of this script, as often as it likes, and answers
-- from what it has found. RAG.ask searches once; an agent can search again with better words.
--   LLMSPELL_RAG_ENABLED=true llmspell run examples/agent_documents.lua -- "How do I keep a model in memory?" docs/guide
local question = ARGS[1] or error("usage: llmspell run examples/agent_documents.lua -- QUESTION [PATH]", 0)

RAG.ingest({ path = ARGS[2] or "docs" }, {
  collection = "agent",
  include = { "*.md", "*.txt" },
  chunking = { strategy = "markdown", chunk_size = 200, overlap = 0 },
})

local search = Tool.register {
  name = "search-documents",
  description = "Finds passages in the user's documents. Takes words or a question; gives passages with their sources.",
  parameters = "query: what to look for",
  execute = function(parameters)
    local passages = {}
    for _, one in ipairs(RAG.search(parameters.query, { collection = "agent", k = 3 })) do
      passages[#passages + 1] = { text = one.text, source = one.source .. ":" .. one.line, score = one.score }
    end
    return { passages = passages }
  end,
}

local agent = Agent.create {
  name = "librarian",
  model = ARGS.model or "qwen3:4b",
  system_prompt = "Answer from the user's documents. Search first, again with other words where that finds too little, "
    .. "and name the source of what you say.",
  tools = { search },
  max_tool_calls = 5,
}
for chunk in agent:stream(question) do
  if chunk.type == "tool" and chunk.tool.phase == "ended" then
    io.stderr:write(("  looked for %q\n"):format(chunk.tool.arguments.query or "?"))
  end
  io.write(chunk.text)
end
print()
