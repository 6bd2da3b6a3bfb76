# Copyright: Infinite Databases contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Prepares volumes for databases to come: an initialised, empty cluster on each. Only this job ever
# runs initdb; postgres.nomad.hcl refuses a volume without a cluster.

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
  # After the databases, where both wait for a place.
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
        data        = <<-SCRIPT
          set -eu
          exec > /alloc/logs/initdb.stdout.0 2> /alloc/logs/initdb.stderr.0
          for volume in "$@"; do
              cd "/volumes/$volume"
              [ ! -e prepared ] || continue
              # Initialised beside its place and moved: an interrupted run leaves nothing that looks whole.
              rm -rf data data.new
              initdb --pgdata=data.new --username=postgres --auth-local=peer --auth-host=scram-sha-256 \
                  --data-checksums --encoding=UTF8 --locale=C.UTF-8 --no-instructions
              mv data.new data
              : > prepared
              sync -f .
          done
        SCRIPT
      }

      # As in postgres.nomad.hcl: the log is written where Nomad looks for it.
      logs {
        disabled      = true
        max_files     = 1
        max_file_size = 10
      }

      resources {
        cpu        = 500
        memory     = 64
        memory_max = 512
      }
    }
  }
}
