# Copyright: Infinite Databases contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Prepares volumes for future databases: an initialised, empty cluster on each volume. Only this job ever runs initdb;
# postgres.nomad.hcl refuses a volume without a cluster.

variable "id" {
  type = string
}

variable "namespace" {
  type = string
}

variable "image" {
  type = string
}

variable "version" {
  type        = string
  description = "PostgreSQL's major version."
}

variable "volumes" {
  type        = list(string)
  description = "Names of dynamic host volumes, all on one node."
}

variable "meta" {
  type = map(string)
}

job "pool" {
  id        = var.id
  name      = var.id
  namespace = var.namespace
  type      = "batch"
  # If a database waits for a place, too, the database gets it first.
  priority = 20
  meta     = var.meta

  group "initdb" {
    restart {
      attempts = 3
      interval = "5m"
      delay    = "1s"
      mode     = "fail"
    }

    reschedule {
      attempts  = 0
      unlimited = false
    }

    ephemeral_disk {
      size = 20
    }

    dynamic "volume" {
      for_each = var.volumes
      labels   = [volume.value]
      content {
        type            = "host"
        source          = volume.value
        access_mode     = "single-node-single-writer"
        attachment_mode = "file-system"
      }
    }

    task "initdb" {
      driver = "docker"
      user   = "postgres"

      config {
        image              = var.image
        entrypoint         = ["/bin/sh", "/local/initdb.sh"]
        args               = var.volumes
        readonly_rootfs    = true
        cap_drop           = ["all"]
        security_opt       = ["no-new-privileges"]
        image_pull_timeout = "10m"

        mount {
          type   = "tmpfs"
          target = "/tmp"
          tmpfs_options {
            size = 16777216
          }
        }
      }

      dynamic "volume_mount" {
        for_each = var.volumes
        content {
          volume      = volume_mount.value
          destination = "/volumes/${volume_mount.value}"
        }
      }

      env {
        PATH = "/usr/lib/postgresql/${var.version}/bin:/usr/bin:/bin"
        LANG = "C.UTF-8"
        TZ   = "UTC"
      }

      template {
        destination = "local/initdb.sh"
        data        = file("initdb.sh")
      }

      # As in postgres.nomad.hcl: the task writes its log itself.
      logs {
        disabled      = true
        max_files     = 1
        max_file_size = 10
      }

      resources {
        # Not more than a database reserves, so that a node with room for a database has room for this (prepared_volumes.py, PREPARATION).
        cpu        = 5
        memory     = 32
        memory_max = 512
      }
    }
  }
}
