-- Branches side by side, and what their failures mean: the whole succeeds where one branch does.
--   llmspell run examples/workflow_parallel.lua
local facts = Workflow.parallel {
  name = "facts",
  max_concurrency = 3,
  success_criteria = "any",
  branches = {
    { name = "digest", steps = { { name = "hash", tool = "hash-calculator", input = { input = "{{text}}" } } } },
    { name = "id", steps = { { name = "uuid", tool = "uuid-generator", input = {} } } },
    { name = "broken", steps = { { name = "zero", tool = "calculator", input = { input = "1 / 0" } } } },
  },
  post_steps = {
    {
      name = "summary",
      type = "custom",
      execute = function(ctx)
        local done = {}
        for _, branch in ipairs(ctx.branch_results) do
          done[#done + 1] = branch.name .. (branch.success and " ok" or " failed")
        end
        return table.concat(done, ", ")
      end,
    },
  },
}

local result = facts:execute({ text = "llmspell" })
print(result.output)
print(#tostring(result.branches.digest.output), result.branches.broken.error)
