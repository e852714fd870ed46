-- Backups of the state, and the versions of what is kept. Gets `core`; adds to it what `state.lua` takes.

local core = ...
local check, check_optional = core.check, core.check_optional
local ipairs, type = ipairs, type
local precise_ms = core.bind("precise_ms")

function core.add_state_copies(methods, state_request)
  -- The argument is a name; true, for one with what has changed only, gives a whole one as well.
  function methods.create_backup(name)
    if type(name) == "boolean" then
      name = nil
    end
    local made = state_request("backup", { name = check_optional(1, "State.create_backup", "string", name) }).backup
    return {
      success = true, backup_id = made.backup, created_at = made.created_at, size = made.bytes,
      entry_count = made.count, is_incremental = false,
    }
  end

  function methods.list_backups()
    local found = {}
    for at, one in ipairs(state_request("backups", {}).backups) do
      found[at] = {
        id = one.backup, created_at = one.created_at, size = one.bytes, entry_count = one.count,
        is_incremental = false,
      }
    end
    return core.host.array(found)
  end

  function methods.restore_backup(id)
    local reply = state_request("restore", { backup = check(1, "State.restore_backup", "string", id) })
    return { success = true, backup_id = reply.backup, entries_restored = reply.count }
  end

  function methods.validate_backup(id)
    local reply = state_request("verify", { backup = check(1, "State.validate_backup", "string", id) })
    return { is_valid = reply.valid, backup_id = reply.backup, error = reply.problem }
  end

  function methods.get_storage_usage()
    local reply = state_request("backups", {})
    local newest, oldest = reply.backups[1], reply.backups[#reply.backups]
    return {
      total_backups = reply.count, total_size = reply.bytes, full_backups = reply.count, incremental_backups = 0,
      newest_backup = newest and newest.created_at, oldest_backup = oldest and oldest.created_at,
    }
  end

  function methods.cleanup_backups(dry_run)
    local reply = state_request("prune", { dry_run = check_optional(1, "State.cleanup_backups", "boolean", dry_run) })
    return {
      success = true, deleted_count = #reply.removed, retained_count = reply.kept, space_freed = reply.bytes,
      deleted = reply.removed,
    }
  end

  function methods.migrate(version)
    local began = precise_ms()
    local reply = state_request("migrate", { version = check(1, "State.migrate", "number", version) })
    if reply.before == reply.version then
      return { success = true, status = "already_current", current_version = version, target_version = version }
    end
    return {
      success = true, status = "completed", from_version = reply.before, to_version = reply.version,
      items_migrated = reply.changed, duration_ms = precise_ms() - began,
    }
  end

  function methods.get_migration_status()
    local reply = state_request("schema", {})
    local latest = reply.versions[#reply.versions] or reply.current
    return {
      current_version = reply.current, latest_version = latest, is_latest = reply.current >= latest,
      migration_available = #reply.targets > 0 and reply.enabled, total_schemas = #reply.versions,
      migration_targets = reply.targets,
    }
  end

  function methods.get_schema_versions()
    return state_request("schema", {}).versions
  end
end
