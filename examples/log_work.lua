-- A job that tells the kernel's log what it does, with figures: for jobs that run while nobody watches.
--   llmspell run examples/log_work.lua -- notes.txt plan.txt
--   llmspell kernel logs --since 5m        # on a kernel that runs; --level warn: only what went wrong
if ARGS.verbose then
  Logger.setLevel("debug")
else
  Logger.setLevel("info")
end

local done, failed = 0, 0
for _, path in ipairs(ARGS) do
  Logger.debug("opening", { path = path })
  local file, problem = io.open(path)
  if file then
    local text = file:read("a")
    file:close()
    done = done + 1
    Logger.info("file read", { path = path, bytes = #text, sha256 = Utils.hash(text) })
  else
    failed = failed + 1
    Logger.warn("file not read", { path = path, reason = problem })
  end
end

Logger.info("job done", { done = done, failed = failed })
print(("%d read, %d not"):format(done, failed))
os.exit(failed == 0 and 0 or 1)
