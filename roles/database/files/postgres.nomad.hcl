# Copyright: Infinite Databases contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Runs one PostgreSQL server for one database. This is a complete job that Nomad can run by itself:
#   nomad job run -var name=mydb -var host=mydb.db.localhost ... postgres.nomad.hcl

variable "name" {
  type        = string
  description = "The database, its owner and the job."
}

variable "host" {
  type        = string
  description = "The public host name, which a client sends as the TLS server name."
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
  description = "MHz reserved on the node. The server uses more while the node has more free."
}

variable "memory" {
  type        = number
  description = "MiB reserved on the node."
}

variable "memory_max" {
  type        = number
  description = "MiB at which the server is out of memory."
}

variable "settings" {
  type        = map(string)
  description = "PostgreSQL's settings."
}

variable "allowed_cidrs" {
  type        = list(string)
  description = "The networks that clients may come from. Empty for all networks."
}

variable "meta" {
  type        = map(string)
  description = "Values that `list` and the next run read from the job."
}

job "postgres" {
  id        = var.name
  name      = var.name
  namespace = var.namespace
  type      = "service"
  meta      = var.meta

  group "postgres" {
    # The data is on one node. A replacement on another node would have no data, and a replacement here would end sessions for no reason. A
    # node that was out of touch comes back with its running server.
    disconnect {
      lost_after = "720h"
      replace    = false
      reconcile  = "keep_original"
    }

    # A server that ends is restarted at once. After five restarts in the interval, Nomad waits for the interval's end.
    restart {
      attempts = 5
      interval = "30s"
      delay    = "1s"
      mode     = "delay"
    }

    # If not even a container can be started, for example because the volume is not mounted, Nomad tries again until it can. The volume is on
    # one node, and so is every allocation.
    reschedule {
      delay          = "30s"
      delay_function = "constant"
      unlimited      = true
    }

    # The run that changed a server changes it back if the server does not stay up (nomad_job, change_back). Nomad does so if that run was
    # killed, after ten minutes (progress_deadline). Not sooner: the version before may be a stopped job, which a start followed, and a
    # volume that was away for some minutes would then stay down.
    update {
      health_check     = "task_states"
      min_healthy_time = "2s"
      healthy_deadline = "20s"
      auto_revert      = true
    }

    # This space is for the logs below.
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
        # Shared memory is for parallel queries. Its content counts as memory, so the memory limit is the real limit.
        shm_size           = var.memory_max * 1048576
        image_pull_timeout = "10m"

        mount {
          type   = "tmpfs"
          target = "/tmp"
          tmpfs_options {
            size = 16777216
          }
        }
      }

      # Nomad's log collection would take two processes of 13 MB for each database. So start.sh writes the log to alloc/data, where
      # `nomad alloc fs` can read it. alloc/logs is read-only for tasks from Nomad 2.0.1 on.
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
        VOLUME     = var.volume
        PG_VERSION = var.version
        PGDATA     = "/volume/data"
        PGHOST     = "/tmp"
        PATH       = "/usr/lib/postgresql/${var.version}/bin:/usr/bin:/bin"
        LANG       = "C.UTF-8"
        TZ         = "UTC"
        # When memory runs out, the kernel ends a backend and not the postmaster. The postmaster then recovers the server without Nomad.
        PG_OOM_ADJUST_FILE  = "/proc/self/oom_score_adj"
        PG_OOM_ADJUST_VALUE = "500"
      }

      # There are few files, because Nomad starts a process for each file, which takes 20 ms of a processor at every start of a database.
      template {
        destination = "local/start.sh"
        data        = file("start.sh")
      }

      template {
        destination = "local/grant.sh"
        data        = file("grant.sh")
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
        # The index is a part of the file, so that grant.sh runs whenever the variable is written, even with the same content. grant.sh then puts
        # right what was changed in the server.
        data        = "{{ with nomadVar \"nomad/jobs/${var.name}\" }}{{ .wanted }}written {{ .Metadata.ModifyIndex }} - -\n{{ end }}"

        change_script {
          command       = "/bin/sh"
          args          = ["/local/grant.sh"]
          timeout       = "20s"
          fail_on_error = false
        }
      }

      # The service is in the task, and not in the group. So the route appears once the container runs, and nobody connects before the
      # container's network is up (the kernel would then wait 1 s until its next ARP request).
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
