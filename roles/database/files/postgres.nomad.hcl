# Copyright: Infinite Databases contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# One PostgreSQL server for one database. This is a complete job for Nomad itself:
#   nomad job run -var name=mydb -var host=mydb.db.localhost ... postgres.nomad.hcl

variable "name" {
  type        = string
  description = "The database, its owner and the job."
}

variable "host" {
  type        = string
  description = "The public host name: what a client sends as TLS server name."
}

variable "namespace" {
  type = string
}

variable "image" {
  type        = string
  description = "Any image with PostgreSQL's Debian packages and the user postgres; the official image has both."
}

variable "volume" {
  type        = string
  description = "The dynamic host volume with the data, prepared by pool.nomad.hcl."
}

variable "version" {
  type        = string
  description = "PostgreSQL's major version, the one that the volume was prepared with."
}

variable "cpu" {
  type        = number
  description = "MHz reserved; more is used where it is free."
}

variable "memory" {
  type        = number
  description = "MiB reserved on the node."
}

variable "memory_max" {
  type        = number
  description = "MiB at which the server is out of memory."
}

variable "shm_size" {
  type        = number
  description = "Bytes of /dev/shm, for parallel queries."
}

variable "settings" {
  type        = map(string)
  description = "PostgreSQL's settings."
}

variable "allowed_cidrs" {
  type        = list(string)
  description = "The networks that clients may come from; empty: all."
}

variable "meta" {
  type        = map(string)
  description = "What `list` and the next run need to know of this database."
}

job "postgres" {
  id        = var.name
  name      = var.name
  namespace = var.namespace
  type      = "service"
  meta      = var.meta

  group "postgres" {
    # The data is on one node: a replacement elsewhere would start on nothing, and one here would end sessions
    # for no reason. A node that was out of touch comes back with the server that it has.
    disconnect {
      lost_after = "720h"
      replace    = false
      reconcile  = "keep_original"
    }

    restart {
      attempts = 10
      interval = "2m"
      delay    = "1s"
      mode     = "delay"
    }

    # Where not even a container could be started, as on a volume that is not mounted, tried until it can. The volume
    # is on one node, and so is every allocation.
    reschedule {
      delay          = "30s"
      delay_function = "constant"
      unlimited      = true
    }

    # A changed server that does not stay up is changed back.
    update {
      health_check     = "task_states"
      min_healthy_time = "2s"
      healthy_deadline = "20s"
      auto_revert      = true
    }

    # For the logs below.
    ephemeral_disk {
      size = 20
    }

    volume "data" {
      type            = "host"
      source          = var.volume
      access_mode     = "single-node-single-writer"
      attachment_mode = "file-system"
    }

    task "postgres" {
      driver = "docker"
      user   = "postgres"

      config {
        image              = var.image
        entrypoint         = ["/bin/sh", "/local/start.sh"]
        args               = [for key in sort(keys(var.settings)) : "--${key}=${var.settings[key]}"]
        init               = true
        readonly_rootfs    = true
        cap_drop           = ["all"]
        security_opt       = ["no-new-privileges"]
        shm_size           = var.shm_size
        image_pull_timeout = "10m"

        mount {
          type   = "tmpfs"
          target = "/tmp"
          tmpfs_options {
            size = 16777216
          }
        }
      }

      # Nomad's log collection costs two processes of 13 MB for each database. start.sh writes where Nomad looks for
      # a task's logs, so that `nomad alloc logs` answers all the same.
      logs {
        disabled      = true
        max_files     = 2
        max_file_size = 4
      }

      # SIGINT is PostgreSQL's fast shutdown; Nomad's default of 5 s would kill a checkpoint.
      kill_signal  = "SIGINT"
      kill_timeout = "120s"

      volume_mount {
        volume      = "data"
        destination = "/volume"
      }

      env {
        DATABASE   = var.name
        PG_VERSION = var.version
        PGDATA     = "/volume/data"
        PGHOST     = "/tmp"
        PATH       = "/usr/lib/postgresql/${var.version}/bin:/usr/bin:/bin"
        LANG       = "C.UTF-8"
        TZ         = "UTC"
        # Out of memory, a backend goes and not the postmaster, which then has the server back without Nomad.
        PG_OOM_ADJUST_FILE  = "/proc/self/oom_score_adj"
        PG_OOM_ADJUST_VALUE = "500"
      }

      # Few files: Nomad starts a process for each that it writes, 20 ms of a processor for every database's start.
      template {
        destination = "local/start.sh"
        data        = <<-SCRIPT
          set -eu
          # A start continues the numbers of the one before: the last piece is the newest.
          piece=0
          for log in /alloc/logs/postgres.stderr.*; do
              if [ -e "$log" ] && [ "$${log##*.}" -ge $piece ]; then
                  piece=$(($${log##*.} + 1))
              fi
          done
          rm -f /alloc/logs/postgres.stderr.$((piece - 2))
          exec 2>> /alloc/logs/postgres.stderr.$piece
          refuse() {
              echo "database $DATABASE: $1" >&2
              exit 1
          }
          exec 9> /volume/lock
          # A server that is being replaced may still be writing its last checkpoint.
          flock -w 150 9 || refuse "another server uses this volume; stop that one first"
          [ -s "$PGDATA/PG_VERSION" ] || refuse "its volume holds no data and a database is never created over lost data; bring the volume back"
          # Whoever removes jobs and variables by hand may bring a used volume back to the pool: nobody gets another's data.
          [ -s /volume/database ] || echo "$DATABASE" > /volume/database
          owner=$(cat /volume/database)
          [ "$owner" = "$DATABASE" ] || refuse "its volume holds the data of database $owner; copy that out on the node before this one is purged"
          found=$(cat "$PGDATA/PG_VERSION")
          [ "$found" = "$PG_VERSION" ] || refuse "its data is of PostgreSQL $found and this server is $PG_VERSION; set the version to $found"
          cat > /tmp/pg_hba.conf <<'HBA'
          # Everybody comes through Traefik, which ends TLS and applies the allow-list.
          local all      postgres peer
          local all      all      reject
          host  all      postgres all     reject
          host  all      all      all     scram-sha-256
          HBA
          # What the server would not start with ends here, with its reason in the log.
          postgres "$@" -C data_directory > /dev/null
          # The server's log, in pieces of 4 MB of which two are kept: no client can fill the node's disk with it.
          mkfifo /tmp/log
          (
              size=0
              while IFS= read -r line; do
                  printf '%s\n' "$line" >> /alloc/logs/postgres.stderr.$piece
                  size=$((size + $${#line} + 1))
                  [ $size -ge 4000000 ] || continue
                  piece=$((piece + 1)) size=0
                  rm -f /alloc/logs/postgres.stderr.$((piece - 2))
              done < /tmp/log &
          )
          # Left by a crash, and meaningless in a new PID namespace: the lock above is what protects the data.
          rm -f "$PGDATA/postmaster.pid"
          # In a subshell of its own, so that it is no child of the server: the postmaster takes an
          # unknown child's bad exit for a crash.
          (/bin/sh /local/grant.sh wait &)
          exec postgres "$@" 2> /tmp/log
        SCRIPT
      }

      template {
        destination = "local/grant.sh"
        data        = <<-SCRIPT
          # Makes roles, passwords, the database and its extensions what they should be; run at each start and whenever
          # secrets/wanted changes.
          set -eu
          tries=0
          # What `pg_ctl start` waits for; a third of the cost of asking the server, which is busy starting.
          until grep -qs '^ready' "$PGDATA/postmaster.pid"; do
              [ "$${1:-}" = wait ] && [ $tries -lt 6000 ] || exit 1
              tries=$((tries + 1))
              sleep 0.02
          done
          # Whatever the database's settings are, statements that hold a verifier stay out of its log, and a database that the
          # host's disk guard made read-only gets what it should have. The search path: a superuser who calls format() would
          # otherwise call the owner's, if the owner made one that fits better.
          export PGOPTIONS="-c log_statement=none -c log_min_duration_statement=-1 -c log_min_duration_sample=-1
              -c log_min_error_statement=panic -c log_transaction_sample_rate=0 -c client_min_messages=warning
              -c default_transaction_read_only=off -c search_path=pg_catalog -c statement_timeout=0"
          exec psql -X -q -v ON_ERROR_STOP=1 -v name="$DATABASE" -d postgres <<'SQL'
          CREATE TEMP TABLE wanted (kind text, name text, login text, verifier text);
          \copy wanted FROM '/secrets/wanted' (DELIMITER ' ')
          -- A role owns rights; its second login is a member of it that acts as the role.
          SELECT format('CREATE ROLE %I', missing) FROM
              (SELECT name FROM wanted WHERE kind = 'login' UNION SELECT login FROM wanted WHERE kind = 'login') AS names (missing)
           WHERE missing NOT IN (SELECT rolname FROM pg_roles) \gexec
          SELECT format('GRANT %I TO %I', name, login), format('ALTER ROLE %I SET role TO %I', login, name) FROM wanted
           WHERE kind = 'login' AND login <> name AND NOT pg_has_role(login, name, 'MEMBER') \gexec
          SELECT format('ALTER ROLE %I LOGIN PASSWORD %L', login, verifier) FROM wanted JOIN pg_authid ON rolname = login
           WHERE kind = 'login' AND (NOT rolcanlogin OR rolpassword IS DISTINCT FROM verifier) \gexec
          -- The disk guard may have taken it from one whose password has ended, but whose pg_cron jobs have not.
          SELECT DISTINCT format('ALTER ROLE %I LOGIN', name) FROM wanted JOIN pg_roles ON rolname = name
           WHERE kind = 'login' AND NOT rolcanlogin \gexec
          -- What is no longer wanted ends, its sessions too. All logins are ours: no role of a user's may create any.
          -- Without a password nobody can log in; without LOGIN the jobs that pg_cron runs for the role would end, too.
          CREATE TEMP TABLE ended AS SELECT rolname FROM pg_authid
           WHERE rolpassword IS NOT NULL AND rolname <> 'postgres' AND rolname NOT IN (SELECT login FROM wanted WHERE kind = 'login');
          SELECT format('ALTER ROLE %I PASSWORD NULL', rolname) FROM ended \gexec
          SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity JOIN ended ON usename = rolname
           WHERE backend_type = 'client backend' \g /dev/null
          SELECT format('CREATE DATABASE %I OWNER %I', :'name', :'name')
           WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
          -- All or nothing: what has been done once is not looked at again.
          BEGIN;
          SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', datname),
              format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO %I', datname, rw), format('GRANT CONNECT ON DATABASE %I TO %I', datname, ro)
            FROM pg_database, (SELECT left(:'name', 60) || '_rw', left(:'name', 60) || '_ro') AS roles (rw, ro)
           WHERE datname = :'name' AND datacl IS NULL \gexec
          COMMIT;
          SELECT coalesce(string_agg(name, ' '), '') AS extensions FROM wanted WHERE kind = 'extension' \gset
          \connect :"name"
          -- The owner's tables are open to the other roles from the beginning, and so are those that it makes later.
          BEGIN;
          SELECT CASE WHEN given LIKE '%SCHEMAS%' THEN format('GRANT USAGE ON SCHEMA public TO %I', role) END,
              format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT %s TO %I', :'name', given, role) FROM
              (VALUES ('_rw', 'USAGE ON SCHEMAS'), ('_ro', 'USAGE ON SCHEMAS'), ('_rw', 'SELECT, INSERT, UPDATE, DELETE ON TABLES'),
                      ('_ro', 'SELECT ON TABLES'), ('_rw', 'USAGE, SELECT, UPDATE ON SEQUENCES'), ('_ro', 'SELECT ON SEQUENCES'))
                  AS rights (suffix, given), LATERAL (SELECT left(:'name', 60) || suffix) AS roles (role)
           WHERE NOT EXISTS (SELECT FROM pg_default_acl) \gexec
          COMMIT;
          SELECT 'SET search_path = public', format('CREATE EXTENSION IF NOT EXISTS %I CASCADE', name), 'SET search_path = pg_catalog' FROM
              unnest(string_to_array(:'extensions', ' ')) AS extension (name)
           WHERE name NOT IN (SELECT extname FROM pg_extension) \gexec
          -- Made by the superuser, and of no use without this.
          SELECT format('GRANT USAGE ON SCHEMA cron TO %I', :'name') FROM pg_namespace
           WHERE nspname = 'cron' AND NOT has_schema_privilege(:'name', oid, 'USAGE') \gexec
          SQL
        SCRIPT
      }

      template {
        destination = "secrets/wanted"

        # A new password should work soon; the default is to wait 5 s for more changes.
        wait {
          min = "100ms"
          max = "1s"
        }
        uid         = 999
        gid         = 999
        perms       = "0400"
        change_mode = "script"
        data        = "{{ with nomadVar \"nomad/jobs/${var.name}\" }}{{ .wanted }}{{ end }}"

        change_script {
          command       = "/bin/sh"
          args          = ["/local/grant.sh"]
          timeout       = "20s"
          fail_on_error = false
        }
      }

      # At the task, not the group: the route then appears once the container runs, and nobody connects
      # before its network is up (which costs the kernel's 1 s ARP retry).
      service {
        name         = "postgres"
        provider     = "nomad"
        port         = 5432
        address_mode = "driver"
        # Traefik checks the client's address; the server sees only Traefik's.
        tags = concat([
          "traefik.enable=true",
          "traefik.tcp.routers.${var.name}.rule=HostSNI(`${var.host}`)",
          "traefik.tcp.routers.${var.name}.entrypoints=postgres",
          "traefik.tcp.routers.${var.name}.service=${var.name}",
          "traefik.tcp.routers.${var.name}.tls=true",
          "traefik.tcp.routers.${var.name}.tls.options=postgres@file",
          "traefik.tcp.services.${var.name}.loadbalancer.server.port=5432",
          "node=${node.unique.id}",
          ], [for tag in [
            "traefik.tcp.routers.${var.name}.middlewares=${var.name}",
            "traefik.tcp.middlewares.${var.name}.ipallowlist.sourcerange=${join(",", var.allowed_cidrs)}",
        ] : tag if length(var.allowed_cidrs) > 0])
      }

      resources {
        cpu        = var.cpu
        memory     = var.memory
        memory_max = var.memory_max
      }
    }
  }
}
