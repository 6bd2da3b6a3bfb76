# Copyright: Infinite Databases contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Copies one database into another, in one transaction, on the node of a database of ours. Two tasks, so that each knows
# the password of its own end only, and each sits in the network of its own end: databases do not reach each other.

variable "id" {
  type = string
}

variable "namespace" {
  type = string
}

variable "node" {
  type        = string
  description = "The node's id."
}

variable "image" {
  type        = string
  description = "The image of a database: it has pg_dump, pg_restore and psql."
}

variable "version" {
  type        = string
  description = "PostgreSQL's major version in the image."
}

variable "networks" {
  type        = map(string)
  description = "Docker's network of each end: bridge, or the container of a server on this node."
}

variable "cas" {
  type        = map(string)
  description = "The certificates (PEM) that each end's certificate is verified with."
}

variable "replace" {
  type        = bool
  description = "Drop what the target has."
}

variable "without_extensions" {
  type        = list(string)
  description = "Extensions of the source that the target may lack."
}

variable "extensions" {
  type        = list(string)
  description = "Extensions that the target was provisioned with: if they are not there yet, they will be in a moment."
}

locals {
  # What each task is, but for its script.
  ends = { dump = "source", restore = "target" }
  secrets = {
    # libpq's own ways to be told where to connect, and with which password.
    "service" = "service.conf"
    "pass"    = "pass"
  }
}

job "transfer" {
  id        = var.id
  name      = var.id
  namespace = var.namespace
  type      = "batch"

  constraint {
    attribute = "${node.unique.id}"
    value     = var.node
  }

  # Once: what failed has left the target as it was, and whoever asked is told.
  group "transfer" {
    restart {
      attempts = 0
      mode     = "fail"
    }

    reschedule {
      attempts  = 0
      unlimited = false
    }

    disconnect {
      lost_after = "1h"
      replace    = false
    }

    # For the logs; the data passes through a pipe.
    ephemeral_disk {
      size = 50
    }

    dynamic "task" {
      for_each = local.ends
      labels   = [task.key]
      content {
        driver = "docker"
        user   = "postgres"
        # Ends with it, whatever the dump is doing.
        leader = task.key == "restore"

        config {
          image              = var.image
          entrypoint         = ["/bin/sh", "/local/${task.key}.sh"]
          network_mode       = var.networks[task.value]
          init               = true
          readonly_rootfs    = true
          cap_drop           = ["all"]
          security_opt       = ["no-new-privileges"]
          image_pull_timeout = "10m"

          mount {
            type   = "tmpfs"
            target = "/tmp"
            tmpfs_options {
              size = 67108864
            }
          }
        }

        env {
          PATH          = "/usr/lib/postgresql/${var.version}/bin:/usr/bin:/bin"
          PGSERVICEFILE = "/secrets/service.conf"
          PGSERVICE     = task.value
          PG_VERSION    = var.version
          REPLACE       = var.replace
          WITHOUT       = join(" ", var.without_extensions)
          EXPECTED      = join(" ", var.extensions)
          HOME          = "/tmp"
          LANG          = "C.UTF-8"
          TZ            = "UTC"
        }

        dynamic "template" {
          for_each = local.secrets
          content {
            destination = "secrets/${template.value}"
            uid         = 999
            gid         = 999
            perms       = "0400"
            change_mode = "noop"
            data        = "{{ with nomadVar \"nomad/jobs/${var.id}\" }}{{ .${task.value}_${template.key} }}{{ end }}"
          }
        }

        template {
          destination     = "local/ca.pem"
          data            = var.cas[task.value]
          left_delimiter  = "{{{"
          right_delimiter = "}}}"
        }

        template {
          destination = "local/${task.key}.sh"
          data        = local.scripts[task.key]
        }

        # As in postgres.nomad.hcl: the log is written where Nomad looks for it.
        logs {
          disabled      = true
          max_files     = 1
          max_file_size = 10
        }

        resources {
          cpu        = 100
          memory     = 64
          memory_max = 512
        }
      }
    }
  }
}

locals {
  scripts = {
    dump = <<-SCRIPT
      # Says what the source has, and dumps it once the restore opens the pipe. How it ended is in /alloc/data/dumped; it never
      # fails, because Nomad would end the restore before that has said why.
      set -eu
      exec > /alloc/logs/dump.stdout.0 2> /alloc/logs/dump.stderr.0
      say() {
          printf '%s\n' "$2" > "/alloc/data/$1.new"
          mv "/alloc/data/$1.new" "/alloc/data/$1"
      }
      mkfifo /alloc/data/pipe
      if ! facts=$(psql -XqAt -F ' ' -v ON_ERROR_STOP=1 2> /tmp/error -c "
          SELECT current_setting('server_version_num')::int / 10000, pg_database_size(current_database()),
              (SELECT string_agg(extname, ' ' ORDER BY extname) FROM pg_extension WHERE extname <> 'plpgsql')" -c "
          SELECT coalesce(string_agg(nspname || ' ' || relname, '|'), '-') FROM pg_extension, unnest(extconfig) AS table_id
            JOIN pg_class ON pg_class.oid = table_id JOIN pg_namespace AS n ON n.oid = relnamespace
           WHERE nspname || relname ~ '^[A-Za-z0-9_]+$'"); then
          say dumped "source: $(cat /tmp/error)"
          exit
      fi
      say facts "$facts"
      if pg_dump --format=custom --compress=0 --no-publications --no-subscriptions --no-security-labels \
          > /alloc/data/pipe 2> /tmp/error; then
          say dumped ok
      else
          say dumped "source: $(cat /tmp/error)"
      fi
    SCRIPT

    restore = <<-SCRIPT
      # Restores what comes through the pipe, in one transaction that is committed only after both ends have said that all went
      # well. Its standard output is for the module: `progress TABLES OF BYTES SOURCE`, and last how it ended.
      set -eu
      # A broken pipe is an error to be told, not the end of this script.
      trap '' PIPE
      exec > /alloc/logs/restore.stdout.0 2> /alloc/logs/restore.stderr.0
      cd /tmp
      end() {
          printf '%s %s\n' "$1" "$(printf '%s' "$2" | head -c 4000 | tr '\n' ' ')"
          [ "$1" = done ] && exit
          exit 1
      }
      # Wait for what the dump says; it may have been killed before it could.
      await() {
          tries=0
          until [ -e "/alloc/data/$1" ]; do
              [ ! -e /alloc/data/dumped ] || end failed "$(cat /alloc/data/dumped)"
              tries=$((tries + 1))
              [ $tries -lt $2 ] || end failed "source: the dump ended without a word; was there not enough memory?"
              sleep 0.1
          done
      }
      ask() {
          psql -XqAt -F ' ' -v ON_ERROR_STOP=1 -c "$1" 2> error
      }
      await facts 1800
      {
          read -r source_version source_size source_extensions
          read -r extension_tables
      } < /alloc/data/facts
      # What belongs to extensions is no reason to refuse. A replacement keeps the schemas that extensions are in.
      found=$(ask "
          SELECT current_setting('server_version_num')::int / 10000, pg_database_size(current_database()),
              (SELECT count(*) FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace
                WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
                  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e'))
              + (SELECT count(*) FROM pg_proc JOIN pg_namespace AS n ON n.oid = pronamespace
                WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
                  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = pg_proc.oid AND deptype = 'e'))
              + (SELECT count(*) FROM pg_largeobject_metadata),
              (SELECT coalesce(string_agg(nspname, '|'), '-') FROM pg_namespace WHERE nspname ~ '^[A-Za-z0-9_]+$'
                AND ('$REPLACE' <> 'true' OR nspname = 'public' OR oid IN (SELECT extnamespace FROM pg_extension))),
              (SELECT string_agg(extname, ' ') FROM pg_extension)") || end failed "target: $(cat error)"
      read -r target_version target_size objects schemas target_extensions <<END
      $found
      END
      [ "$source_version" -le "$PG_VERSION" ] ||
          end refused "the source is PostgreSQL $source_version, which pg_dump $PG_VERSION cannot read; provision one of that version"
      [ "$target_version" -ge "$PG_VERSION" ] ||
          end refused "the target is PostgreSQL $target_version, which cannot take a dump of version $PG_VERSION; use a newer target"
      # Those of the first list that are not in the second.
      lacking() {
          for extension in $1; do
              case " $2 " in
              *" $extension "*) ;;
              *) printf '%s ' "$extension" ;;
              esac
          done
      }
      tries=0
      while missing=$(lacking "$source_extensions" "$target_extensions $WITHOUT") && [ -n "$missing" ]; do
          [ -z "$(lacking "$missing" "$EXPECTED")" ] && [ $tries -lt 20 ] || end missing "$missing"
          tries=$((tries + 1))
          sleep 1
          target_extensions=$(ask "SELECT string_agg(extname, ' ') FROM pg_extension") || end failed "target: $(cat error)"
      done
      [ "$objects" = 0 ] || [ "$REPLACE" = true ] || end occupied "$objects"

      mkfifo contents archive list sql
      # The dump twice: its table of contents is at its beginning, and what is in it but shall not be restored is left out of
      # the list by which pg_restore reads the rest: extensions with the rows of their own tables and event triggers, which are
      # for a superuser to make, and schemas that are there.
      tee archive < /alloc/data/pipe > contents &
      {
          pg_restore --list > all 2> /dev/null || :
          unwanted="(COMMENT - )?(EXTENSION|EVENT TRIGGER)|COMMENT - SCHEMA public|SCHEMA - ($schemas)"
          grep -vE "^[0-9]+; [0-9]+ [0-9]+ ($unwanted|(TABLE DATA|SEQUENCE SET) ($extension_tables)) " all > some || :
          grep -cE '^[0-9]+; [0-9]+ [0-9]+ TABLE DATA ' some > tables || :
          cat some > list &
          cat > /dev/null
      } < contents &
      : > reading
      begun() { grep -c 'processing data for table' reading || :; }
      while sleep 2; do
          size=$(ask 'SELECT pg_database_size(current_database())') || continue
          printf 'progress %s %s %s %s\n' "$(begun)" "$(cat tables 2> /dev/null || echo 0)" $((size - target_size)) "$source_size"
      done &
      progress=$!
      psql -XqAt -v ON_ERROR_STOP=1 < sql > /dev/null 2> writing &
      writer=$!
      exec 3> sql
      # The server notices soon when this end has gone, even in the middle of building an index.
      # A psql that has failed is noticed below.
      cat >&3 <<'SQL' || :
      BEGIN;
      SELECT pg_current_xact_id() \g transaction
      SET client_min_messages = warning;
      SET statement_timeout = 0;
      SET idle_in_transaction_session_timeout = 0;
      SELECT set_config(name, '2s', false) FROM pg_settings WHERE name = 'client_connection_check_interval';
      SQL
      [ "$REPLACE" != true ] || cat >&3 <<'SQL' || :
      -- Somebody's open transaction on a table that is to go must not hold this up for ever.
      SET lock_timeout = '30s';
      -- All that this role owns, but for extensions, the schemas that they are in, and what new objects' rights are. All is
      -- listed before anything is dropped: schemas and tables first, which take with them what cannot go by itself.
      DO $do$
      DECLARE
          statement text;
      BEGIN
          FOREACH statement IN ARRAY ARRAY(
              SELECT CASE WHEN type = 'large object' THEN format('SELECT lo_unlink(%s)', objid)
                  ELSE format('DROP %s IF EXISTS %s CASCADE', CASE type WHEN 'composite type' THEN 'type'
                      WHEN 'statistics object' THEN 'statistics' ELSE type END, identity) END
                FROM pg_shdepend, pg_identify_object(classid, objid, 0)
               WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND deptype = 'o'
                 AND refclassid = 'pg_authid'::regclass AND refobjid = current_user::regrole
                 AND classid NOT IN ('pg_default_acl'::regclass, 'pg_extension'::regclass)
                 AND (classid <> 'pg_namespace'::regclass
                      OR NOT EXISTS (SELECT FROM pg_extension WHERE extnamespace = objid) AND identity <> 'public')
                 AND NOT EXISTS (SELECT FROM pg_type WHERE classid = 'pg_type'::regclass AND oid = objid AND typtype = 'm')
               ORDER BY array_position('{schema,table}', type))
          LOOP
              EXECUTE statement;
          END LOOP;
      END
      $do$;
      SQL
      read_status=0 committing=
      pg_restore --no-owner --no-privileges --no-tablespaces --no-publications --no-subscriptions --no-security-labels \
          --verbose --use-list=list --file=- < archive >&3 2> reading || read_status=$?
      if [ $read_status = 0 ]; then
          await dumped 300
          if [ "$(cat /alloc/data/dumped)" = ok ]; then
              committing=true
              echo 'COMMIT;' >&3 || :
          fi
      fi
      # Without a COMMIT this end rolls back.
      exec 3>&-
      write_status=0
      wait $writer || write_status=$?
      kill $progress
      if [ $write_status != 0 ]; then
          # The connection may have been lost between the commit and its answer; the server may be starting again.
          tries=0 fate=aborted
          while [ -n "$committing" ] && ! fate=$(ask "SELECT pg_xact_status('$(cat transaction)')"); do
              tries=$((tries + 1))
              [ $tries -lt 30 ] || end unknown "$(cat writing)"
              sleep 1
          done
          [ "$fate" = committed ] || end failed "target: $(cat writing)"
      fi
      if [ $read_status != 0 ]; then
          # Most likely what it read ended too early.
          sleep 1
          [ ! -e /alloc/data/dumped ] || [ "$(cat /alloc/data/dumped)" = ok ] || end failed "$(cat /alloc/data/dumped)"
          end failed "source: $(grep -E 'error|fatal' reading)"
      fi
      [ "$(cat /alloc/data/dumped)" = ok ] || end failed "$(cat /alloc/data/dumped)"
      # For the planner; autovacuum would do it later.
      psql -Xqc 'SET client_min_messages = error' -c ANALYZE > /dev/null 2>&1 || :
      size=$(ask 'SELECT pg_database_size(current_database())') || size=$target_size
      end done "$(cat tables) $size $source_size"
    SCRIPT
  }
}
