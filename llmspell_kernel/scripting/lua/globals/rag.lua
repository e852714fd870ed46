-- RAG: documents that are found again, as `rag_request`s. Read when it is first used. Gets `core`; returns the functions.

local core = ...
local check, check_optional, check_keys, key_set = core.check, core.check_optional, core.check_keys, core.key_set
local error, ipairs, next, setmetatable, tostring, type = error, ipairs, next, setmetatable, tostring, type
local find, floor = string.find, math.floor

local MOST_HITS = 10000
-- One request has no more texts than this, so that a list of any length fits.
local MOST_TEXT = 4 << 20

local function fail(text)
  error("Validation error: " .. text, 0)
end

local function ask(action, content)
  content.action = action
  return core.request("rag_request", content)
end

local warned = {}

local function warn(text)
  if not warned[text] then
    warned[text] = true
    core.host.write("stderr", "warning: " .. text .. "\n")
  end
end

local function warn_all(texts)
  for _, text in ipairs(texts or {}) do
    warn(text)
  end
end

-- What `RAG.configure` has set; it ends with the script's context.
local defaults = {}

-- The first of these keys that options, or what was configured, have.
local function first_of(options, ...)
  for _, name in ipairs { ... } do
    if options[name] ~= nil then
      return options[name]
    end
  end
  for _, name in ipairs { ... } do
    if defaults[name] ~= nil then
      return defaults[name]
    end
  end
  return nil
end

local function text_of(name, what, value)
  if type(value) == "number" then
    value = tostring(value)
  end
  return check_optional(1, name .. ": " .. what, "string", value)
end

-- ## Places

local PLACE = { "scope", "scope_id", "tenant_id", "tenant", "session_id", "collection" }

-- Where documents lie, by options; a session's own place is `session_id` alone.
local function place_of(name, options)
  local scope, scope_id = first_of(options, "scope"), first_of(options, "scope_id")
  local session = first_of(options, "session_id")
  if scope == nil and session ~= nil then
    scope, scope_id = "session", session
  end
  if scope == "session" and scope_id == nil then
    scope_id = session
  end
  return {
    tenant = text_of(name, "tenant_id", first_of(options, "tenant_id", "tenant")),
    collection = text_of(name, "collection", first_of(options, "collection")),
    scope = text_of(name, "scope", scope),
    scope_id = text_of(name, "scope_id", scope_id),
  }
end

local function with_place(content, place)
  for key, value in next, place do
    content[key] = value
  end
  return content
end

-- ## Models

-- The model that a provider's name means: the word itself where it names a model already.
local function model_of(name, options)
  local model = text_of(name, "model", first_of(options, "model", "embedding_model"))
  local provider = text_of(name, "provider", first_of(options, "provider", "embedding_provider"))
  if model ~= nil and provider ~= nil and provider ~= "local" and not find(model, "/", 1, true) then
    if not find(model, "@", 1, true) then
      local at = provider == "candle" or provider == "ollama"
      return at and model .. "@" .. provider or provider .. "/" .. model, nil
    end
  end
  return model, model == nil and provider or nil
end

-- ## Taking in

local INGEST = key_set(PLACE, {
  "provider", "embedding_provider", "model", "embedding_model", "chunking", "chunk_size", "chunk_overlap", "overlap",
  "strategy", "ttl", "ttl_s", "metadata", "include", "exclude", "force", "sync", "on_progress",
})

local function whole(name, what, value)
  if value == nil then
    return nil
  end
  if type(value) ~= "number" or value ~= floor(value) or value < 0 then
    fail(name .. ": " .. what .. " must be a whole number that is not negative")
  end
  return floor(value)
end

local function chunking_of(name, options)
  local given = check_optional(1, name .. ": chunking", "table", options.chunking) or defaults.chunking or {}
  local found = {
    strategy = given.strategy or first_of(options, "strategy"),
    chunk_size = whole(name, "chunk_size", given.chunk_size or first_of(options, "chunk_size")),
    overlap = whole(name, "overlap", given.overlap or given.chunk_overlap or first_of(options, "chunk_overlap", "overlap")),
  }
  return next(found) ~= nil and found or nil
end

local NO_TEXT = "Document requires 'content' or 'text' field"

-- The document of a table: a text, or a path or an address to be read.
local function document_of(document)
  if type(document) ~= "table" then
    fail(NO_TEXT)
  end
  local text = document.content
  if text == nil then
    text = document.text
  end
  if text == nil and (type(document.path) == "string" or type(document.url) == "string") then
    return nil
  end
  if type(text) ~= "string" or not find(text, "%S") then
    fail(NO_TEXT)
  end
  return {
    text = text,
    id = text_of("document", "id", document.id),
    title = text_of("document", "title", document.title),
    media_type = text_of("document", "media_type", document.media_type),
    metadata = check_optional(1, "document: metadata", "table", document.metadata),
  }
end

local FIRST_ID = { __name = "rag_result", __tostring = function(result) return result.ids[1] or "" end }

-- The documents of one place: what one request has of them.
local function batches(name, documents, options)
  local order, by_place = {}, {}
  for _, document in ipairs(documents) do
    local own = document_of(document)
    local place = place_of(name, setmetatable({}, {
      __index = function(_, key)
        local value = document[key]
        if value == nil then
          value = options[key]
        end
        return value
      end,
    }))
    local key = (place.tenant or "") .. "\0" .. (place.collection or "") .. "\0" .. (place.scope or "") .. "\0" .. (place.scope_id or "")
    local batch = by_place[key]
    local size = own == nil and 0 or #own.text
    if batch == nil or batch.size + size > MOST_TEXT then
      batch = { place = place, size = 0, documents = {}, paths = {}, urls = {} }
      by_place[key] = batch
      order[#order + 1] = batch
    end
    batch.size = batch.size + size
    if own ~= nil then
      batch.documents[#batch.documents + 1] = own
    elseif document.path ~= nil then
      batch.paths[#batch.paths + 1] = document.path
    else
      batch.urls[#batch.urls + 1] = document.url
    end
  end
  return order
end

-- Runs a request that tells how far it is; `visit` gets that.
local function followed(content, visit)
  if visit == nil then
    content.progress = false
    return core.request("rag_request", content)
  end
  local id = core.open("rag_request", content)
  while true do
    local kind, answer = core.next_event(id)
    if kind == "progress" then
      visit(answer)
    elseif kind == "reply" then
      return answer
    elseif kind == "error" then
      error(answer, 0)
    end
  end
end

local function ingest(name, documents, options)
  if type(documents) ~= "table" then
    core.bad_argument(1, name, "table", documents)
  end
  options = check_optional(2, name, "table", options) or {}
  check_keys(name, options, INGEST)
  if documents[1] == nil then
    documents = { documents }
  end
  local total = {
    success = true, documents_processed = 0, vectors_created = 0, chunks_created = 0, total_tokens = 0, ids = core.host.array {},
    added = 0, changed = 0, unchanged = 0, removed = 0, failed = core.host.array {}, skipped = core.host.array {},
  }
  local model, provider = model_of(name, options)
  for _, batch in ipairs(batches(name, documents, options)) do
    local ttl = options.ttl
    if ttl == nil then
      ttl = options.ttl_s
    end
    local content = with_place({
      action = "ingest",
      documents = core.host.array(batch.documents),
      paths = core.host.array(batch.paths),
      urls = core.host.array(batch.urls),
      include = options.include,
      exclude = options.exclude,
      sync = options.sync,
      force = check_optional(2, name .. ": force", "boolean", options.force),
      model = model,
      provider = provider,
      chunking = chunking_of(name, options),
      ttl_s = check_optional(2, name .. ": ttl", "number", ttl),
      metadata = check_optional(2, name .. ": metadata", "table", options.metadata),
    }, batch.place)
    local reply = followed(content, check_optional(2, name .. ": on_progress", "function", options.on_progress))
    warn_all(reply.warnings)
    total.documents_processed = total.documents_processed + reply.added + reply.changed + reply.unchanged
    total.vectors_created = total.vectors_created + reply.chunks
    total.chunks_created = total.chunks_created + reply.chunks
    total.total_tokens = total.total_tokens + reply.tokens
    for _, key in ipairs { "added", "changed", "unchanged", "removed" } do
      total[key] = total[key] + reply[key]
    end
    for _, key in ipairs { "ids", "failed", "skipped" } do
      for _, one in ipairs(reply[key]) do
        total[key][#total[key] + 1] = one
      end
    end
    total.model, total.dimensions = reply.model, reply.dimension
  end
  for _, problem in ipairs(total.failed) do
    warn(problem.source .. ": " .. problem.message)
  end
  total.success = #total.failed == 0
  return setmetatable(total, FIRST_ID)
end

local methods = {}

function methods.ingest(documents, options)
  return ingest("RAG.ingest", documents, options)
end

function methods.ingest_batch(documents, options)
  return ingest("RAG.ingest_batch", documents, options)
end

-- ## Finding

local SEARCH = key_set(PLACE, {
  "k", "top_k", "limit", "threshold", "similarity_threshold", "min_score", "metadata_filter", "filters", "filter",
  "method", "diversity", "rerank", "provider", "embedding_provider", "model", "embedding_model",
})
local ASK = key_set(PLACE, {
  "k", "top_k", "limit", "threshold", "similarity_threshold", "min_score", "metadata_filter", "filters", "filter",
  "method", "diversity", "rerank", "model", "chat_model", "max_tokens", "temperature", "on_token", "stream", "on_progress",
})

local function count_of(options, fallback)
  local k = first_of(options, "k", "top_k", "limit")
  if k == nil then
    return fallback
  end
  if type(k) ~= "number" or k ~= floor(k) or k < 1 then
    fail("k must be a positive integer")
  end
  if k > MOST_HITS then
    fail("k must be a positive integer, at most " .. MOST_HITS)
  end
  return floor(k)
end

local function query_of(query)
  if type(query) ~= "string" then
    fail("query must be a string (got " .. (query == nil and "no value" or type(query)) .. ")")
  end
  if not find(query, "%S") then
    fail("query must not be empty")
  end
  return query
end

local function search_of(name, query, options, k)
  local filter = first_of(options, "metadata_filter", "filters", "filter")
  if filter ~= nil and type(filter) ~= "table" then
    fail(name .. ": the filter must be a table (got " .. type(filter) .. ")")
  end
  local threshold = first_of(options, "threshold", "similarity_threshold", "min_score")
  if threshold ~= nil and (type(threshold) ~= "number" or threshold < 0 or threshold > 1) then
    fail(name .. ": threshold must be a number from 0 to 1")
  end
  return with_place({
    query = query_of(query),
    k = count_of(options, k),
    threshold = threshold,
    filter = filter,
    method = check_optional(2, name .. ": method", "string", first_of(options, "method")),
    diversity = check_optional(2, name .. ": diversity", "number", first_of(options, "diversity")),
    rerank = check_optional(2, name .. ": rerank", "string", first_of(options, "rerank")),
  }, place_of(name, options))
end

-- A passage as scripts see it.
local function item_of(hit)
  return {
    id = hit.document, content = hit.text, text = hit.text, score = hit.score, metadata = hit.metadata, chunk = hit.id,
    title = hit.title, source = hit.source, page = hit.page, section = hit.section, line = hit.line,
    start = hit.start, ["end"] = hit["end"], tokens = hit.tokens, by_words = hit.by_words, by_vectors = hit.by_vectors,
  }
end

function methods.search(query, options)
  if type(query) == "table" then
    options, query = query, query.query
    local rest = {}
    for key, value in next, options do
      rest[key] = value
    end
    rest.query = nil
    options = rest
  end
  options = check_optional(2, "RAG.search", "table", options) or {}
  check_keys("RAG.search", options, SEARCH)
  local reply = ask("search", search_of("RAG.search", query, options, 5))
  warn_all(reply.warnings)
  local items = core.host.array {}
  for at, hit in ipairs(reply.hits) do
    items[at] = item_of(hit)
  end
  -- Items at 1..n as well; `pairs` and JSON see the names.
  return setmetatable({
    success = true, total = reply.count, results = items, method = reply.method, model = reply.model, exact = reply.exact,
  }, {
    __len = function() return #items end,
    __index = function(_, key) return items[key] end,
  })
end

local ANSWER = {
  __name = "rag_answer",
  __tostring = function(answer) return answer.answer or "nothing that answers this was found" end,
}

local function answer_of(reply)
  local citations = core.host.array {}
  for at, one in ipairs(reply.citations) do
    local item = item_of(one.hit)
    item.number, item.cited = one.number, one.cited
    citations[at] = item
  end
  return setmetatable({
    answer = reply.answer, text = reply.answer, found = reply.found, citations = citations, left_out = reply.left_out,
    model = reply.chat_model, usage = reply.usage, warnings = reply.warnings, duration_ms = reply.duration_ms,
  }, ANSWER)
end

function methods.ask(question, options, visit)
  if type(options) == "function" then
    options, visit = nil, options
  end
  options = check_optional(2, "RAG.ask", "table", options) or {}
  check_keys("RAG.ask", options, ASK)
  check_optional(3, "RAG.ask", "function", visit)
  local on_token = check_optional(2, "RAG.ask: on_token", "function", options.on_token)
  local content = search_of("RAG.ask", question, options, 8)
  content.action = "ask"
  content.progress = false
  content.chat_model = check_optional(2, "RAG.ask: model", "string", options.chat_model or options.model)
  content.max_tokens = whole("RAG.ask", "max_tokens", options.max_tokens)
  content.temperature = check_optional(2, "RAG.ask: temperature", "number", options.temperature)
  if visit == nil and on_token ~= nil then
    visit = function(chunk) return on_token(chunk.text) end
  end
  if visit == nil then
    content.stream = false
    return answer_of(core.request("rag_request", content))
  end
  local reply, text = core.stream_reply("rag_request", content, visit)
  if reply == nil then
    return setmetatable({ answer = text, text = text, found = true, stopped = true, citations = core.host.array {} }, ANSWER)
  end
  return answer_of(reply)
end

-- ## Settings

local CONFIGURE = key_set(PLACE, {
  "provider", "embedding_provider", "model", "embedding_model", "embedding", "chunking", "chunk_size", "chunk_overlap",
  "overlap", "strategy", "threshold", "similarity_threshold", "min_score", "k", "top_k", "limit", "search", "method",
  "diversity", "rerank", "dimensions", "vector_storage",
})

-- Keys of nested tables, and what they are called at the top.
local NESTED = {
  embedding = { provider = "provider", default_provider = "provider", model = "model", dimensions = "dimensions" },
  vector_storage = { dimensions = "dimensions" },
  search = { k = "k", top_k = "k", limit = "k", threshold = "threshold", similarity_threshold = "threshold", method = "method" },
}

function methods.configure(options)
  check(1, "RAG.configure", "table", options)
  check_keys("RAG.configure", options, CONFIGURE)
  local wanted = {}
  for key, value in next, options do
    local inside = NESTED[key]
    if inside == nil then
      wanted[key] = value
    else
      check_optional(1, "RAG.configure: " .. key, "table", value)
      for name, own in next, inside do
        if value[name] ~= nil then
          wanted[own] = value[name]
        end
      end
    end
  end
  -- What is wrong is said here, and not by what uses it later.
  count_of(wanted, 1)
  chunking_of("RAG.configure", wanted)
  local model, provider = model_of("RAG.configure", wanted)
  if wanted.dimensions ~= nil then
    check(1, "RAG.configure: dimensions", "number", wanted.dimensions)
    local content = with_place({ action = "model", model = model, provider = provider }, place_of("RAG.configure", wanted))
    -- Without a model there is nothing that they could differ from.
    local ok, reply = core.try("rag_request", content)
    if ok and reply.dimension ~= nil and reply.dimension ~= wanted.dimensions then
      warn(("RAG.configure: dimensions is %s, and the vectors of %s have %d"):format(
        tostring(wanted.dimensions), reply.model, reply.dimension))
    end
  end
  for key, value in next, wanted do
    defaults[key] = value
  end
  return true
end

-- The settings `[rag]`, read when they are asked for.
function methods.config()
  return core.request("kernel_request", { action = "settings" }).settings.rag or {}
end

-- ## What is there

function methods.get_stats(scope, scope_id)
  local options = type(scope) == "table" and scope or { scope = scope, scope_id = scope_id }
  local stats = ask("stats", place_of("RAG.get_stats", options))
  return {
    total_vectors = stats.vectors,
    total_chunks = stats.chunks,
    total_storage_bytes = stats.bytes,
    total_documents = stats.documents,
    collections = stats.collections,
    embeddings_generated = stats.embeddings,
    embeddings_cached = stats.cached,
    embedding_tokens = stats.embedding_tokens,
    searches_performed = stats.searches,
  }
end

function methods.save()
  ask("save", {})
  return true
end

local function cleared(place)
  return ask("clear", place)
end

function methods.cleanup_scope(scope, scope_id)
  if type(scope) == "table" then
    if scope.confirm ~= true then
      fail("RAG.cleanup_scope needs confirm = true")
    end
    local reply = cleared(place_of("RAG.cleanup_scope", scope))
    return {
      success = true,
      stats = { documents_removed = reply.documents, storage_freed_mb = reply.bytes_freed / (1 << 20) },
    }
  end
  check(1, "RAG.cleanup_scope", "string", scope)
  return cleared(place_of("RAG.cleanup_scope", { scope = scope, scope_id = scope_id })).documents
end

function methods.clear(scope, scope_id)
  local options = type(scope) == "table" and scope or { scope = scope, scope_id = scope_id }
  return cleared(place_of("RAG.clear", options)).documents
end

function methods.delete(id, options)
  local ids = type(id) == "table" and id or { check(1, "RAG.delete", "string", id) }
  local place = place_of("RAG.delete", check_optional(2, "RAG.delete", "table", options) or {})
  return ask("delete", with_place({ ids = core.host.array(ids) }, place)).documents > 0
end

function methods.list(options)
  options = check_optional(1, "RAG.list", "table", options) or {}
  local content, found = place_of("RAG.list", options), core.host.array {}
  repeat
    local reply = ask("list", content)
    for _, one in ipairs(reply.documents) do
      found[#found + 1] = one
    end
    content.after = reply.after
  until content.after == nil
  return found
end

function methods.collections(tenant)
  return ask("collections", { tenant = check_optional(1, "RAG.collections", "string", tenant) }).collections
end

function methods.rebuild(options)
  options = check_optional(1, "RAG.rebuild", "table", options) or {}
  local content = place_of("RAG.rebuild", options)
  content.progress = false
  content.model = check_optional(1, "RAG.rebuild: model", "string", options.model)
  return ask("rebuild", content)
end

-- ## Sessions

local function session_place(name, id, ttl)
  if not find(check(1, name, "string", id), "%S") then
    fail(name .. ": the session's id must not be empty")
  end
  if ttl ~= nil and (type(ttl) ~= "number" or ttl <= 0) then
    fail(name .. ": ttl must be a number of seconds above 0")
  end
  return ask("create", { scope = "session", scope_id = id, ttl_s = ttl })
end

function methods.create_session_collection(id, ttl)
  if type(ttl) == "table" then
    ttl = ttl.ttl or ttl.ttl_s or ttl.ttl_seconds or ttl.vector_ttl
  end
  local made = session_place("RAG.create_session_collection", id, ttl)
  return { session_id = id, namespace = made.collection, collection = made.collection, ttl = ttl, created = true }
end

function methods.configure_session(options)
  check(1, "RAG.configure_session", "table", options)
  local ttl = options.vector_ttl or 3600
  session_place("RAG.configure_session", options.session_id, ttl)
  return { session_id = options.session_id, vector_ttl = ttl, configured = true }
end

-- The providers that can make vectors, by name.
function methods.list_providers()
  local names = core.host.array {}
  for _, one in ipairs(core.request("model_request", { action = "providers" }).providers) do
    if one.available and one.embeddings then
      names[#names + 1] = one.name
    end
  end
  return names
end

return methods
