# Copyright: Infinite Databases contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Restores a backup into the volume of a new database, and replays the write-ahead log up to a moment. Nobody can connect meanwhile.

variable "id" {
  type = string
}

variable "namespace" {
  type = string
}

variable "image" {
  type        = string
  description = "The new database's image, which has PostgreSQL and pgBackRest."
}

variable "version" {
  type        = string
  description = "PostgreSQL's major version, the one of the backup."
}

variable "volume" {
  type        = string
  description = "The new database's dynamic host volume. What it holds is replaced."
}

variable "memory" {
  type = number
}

variable "memory_max" {
  type = number
}

variable "settings" {
  type        = map(string)
  description = "The new database's settings."
}

variable "stanza" {
  type        = string
  description = "pgBackRest's stanza with the backup: the name of the former volume."
}

variable "at" {
  type        = string
  description = "The moment, such as 2026-11-30T12:00:00+00:00; empty for the latest state."
}

variable "reach" {
  type        = string
  description = "The position in the source's write-ahead log that the latest state has to have; empty if nobody knows."
}

variable "source" {
  type        = string
  description = "The former database's name."
}

variable "name" {
  type        = string
  description = "The new database's name."
}

variable "renames" {
  type        = list(string)
  description = "The roles that get another name, as OLD:NEW."
}

variable "directory" {
  type        = bool
  description = "Whether the repository is a directory of the host."
}

locals {
  repository = var.directory ? ["repository"] : []
}

job "recovery" {
  id        = var.id
  name      = var.id
  namespace = var.namespace
  type      = "batch"

  # The job runs once. The next run of restore.yml begins anew.
  group "recovery" {
    restart {
      attempts = 0
      mode     = "fail"
    }

    reschedule {
      attempts  = 0
      unlimited = false
    }

    disconnect {
      lost_after = "24h"
      replace    = false
    }

    ephemeral_disk {
      size = 20
    }

    volume "data" {
      type            = "host"
      source          = var.volume
      access_mode     = "single-node-single-writer"
      attachment_mode = "file-system"
    }

    dynamic "volume" {
      for_each = local.repository
      labels   = [volume.value]
      content {
        type      = "host"
        source    = "infinite-backups"
        read_only = true
      }
    }

    task "recovery" {
      driver = "docker"
      user   = "postgres"

      config {
        image              = var.image
        entrypoint         = ["/bin/sh", "/local/recovery.sh"]
        args               = [for key in sort(keys(var.settings)) : "--${key}=${var.settings[key]}"]
        init               = true
        readonly_rootfs    = true
        cap_drop           = ["all"]
        security_opt       = ["no-new-privileges"]
        shm_size           = var.memory_max * 1048576
        image_pull_timeout = "10m"

        mount {
          type   = "tmpfs"
          target = "/tmp"
          tmpfs_options {
            size = 67108864
          }
        }
      }

      volume_mount {
        volume      = "data"
        destination = "/volume"
      }

      dynamic "volume_mount" {
        for_each = local.repository
        content {
          volume      = volume_mount.value
          destination = "/repository"
          read_only   = true
        }
      }

      env {
        PATH                  = "/usr/lib/postgresql/${var.version}/bin:/usr/bin:/bin"
        PGDATA                = "/volume/data"
        PGHOST                = "/tmp"
        LANG                  = "C.UTF-8"
        TZ                    = "UTC"
        SOURCE                = var.source
        DATABASE              = var.name
        RENAMES               = join(" ", var.renames)
        AT                    = var.at
        REACH                 = var.reach
        PGBACKREST_CONFIG     = "/secrets/pgbackrest.conf"
        PGBACKREST_STANZA     = var.stanza
        PGBACKREST_PG1_PATH   = "/volume/data"
        PGBACKREST_SPOOL_PATH = "/volume/spool"
      }

      dynamic "template" {
        for_each = { "pgbackrest" = "pgbackrest.conf", "ca" = "ca.pem" }
        content {
          destination = "secrets/${template.value}"
          uid         = 999
          gid         = 999
          perms       = "0400"
          change_mode = "noop"
          data        = "{{ with nomadVar \"nomad/jobs/${var.id}\" }}{{ .${template.key} }}{{ end }}"
        }
      }

      template {
        destination = "local/recovery.sh"
        data        = file("recovery.sh")
      }

      # As in postgres.nomad.hcl: the task writes its log itself.
      logs {
        disabled      = true
        max_files     = 1
        max_file_size = 10
      }

      resources {
        cpu        = 10
        memory     = var.memory
        memory_max = max(var.memory_max, 512)
      }
    }
  }
}
