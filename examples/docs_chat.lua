-- Chat with this repository's documentation: takes in docs/, answers each question from it, and says where that stands.
-- The first run embeds everything, later ones only what has changed.
--   LLMSPELL_RAG_ENABLED=true llmspell run examples/docs_chat.lua -- "How do I start a kernel?"
--   LLMSPELL_RAG_ENABLED=true llmspell run examples/docs_chat.lua -- --path docs/guide --model qwen3:4b
local collection = ARGS.collection or "docs"
local bar
local taken = RAG.ingest({ path = ARGS.path or "docs" }, {
  collection = collection,
  include = { "*.md" },
  chunking = { strategy = "markdown", chunk_size = 200, overlap = 20 },
  on_progress = function(step)
    if step.documents then
      bar = bar or Progress.new(step.documents, "documents")
      bar:update(step.documents_done)
    end
  end,
})
if bar then
  bar:done()
end
io.stderr:write(("%d pages are there, %d of them new or changed\n"):format(#taken.ids, taken.added + taken.changed))

local options = {
  collection = collection,
  k = tonumber(ARGS.k) or 4,
  threshold = tonumber(ARGS.threshold), -- passages that fit less than this are not shown to the model
  model = ARGS.model,
  max_tokens = tonumber(ARGS["max-tokens"]) or 200,
  temperature = 0,
}

local function ask(question)
  local answer = RAG.ask(question, options, function(chunk) io.write(chunk.text) end)
  if not answer.found then
    print("The documentation says nothing about that.")
    return
  end
  print()
  for _, one in ipairs(answer.citations) do
    -- A small model names no passages; then all that it was shown are worth a look.
    print(("  [%d]%s %s:%d  %s"):format(one.number, one.cited and "*" or "", one.source, one.line, one.section or one.title))
  end
end

if ARGS[1] then
  for _, question in ipairs(ARGS) do
    ask(question)
  end
else
  for line in io.lines() do
    if line == "" then
      break
    end
    ask(line)
  end
end
