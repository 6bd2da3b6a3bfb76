# Copyright: Infinite Databases contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Reads the copies of all records from the backups' repository. They have passwords, so the file with them is there for a moment only.

variable "id" {
  type = string
}

variable "namespace" {
  type = string
}

variable "image" {
  type        = string
  description = "An image of the databases, which has pgBackRest."
}

variable "directory" {
  type        = bool
  description = "Whether the repository is a directory of the host."
}

locals {
  repository = var.directory ? ["repository"] : []
}

job "records" {
  id        = var.id
  name      = var.id
  namespace = var.namespace
  type      = "batch"

  group "records" {
    restart {
      attempts = 0
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
      for_each = local.repository
      labels   = [volume.value]
      content {
        type      = "host"
        source    = "infinite-backups"
        read_only = true
      }
    }

    task "records" {
      driver = "docker"
      user   = "postgres"

      config {
        image              = var.image
        entrypoint         = ["/bin/sh", "/local/records.sh"]
        init               = true
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
        for_each = local.repository
        content {
          volume      = volume_mount.value
          destination = "/repository"
          read_only   = true
        }
      }

      env {
        LANG              = "C.UTF-8"
        TZ                = "UTC"
        PGBACKREST_CONFIG = "/secrets/pgbackrest.conf"
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
        destination = "local/records.sh"
        data        = file("records.sh")
      }

      # As in postgres.nomad.hcl: the task writes its log itself.
      logs {
        disabled      = true
        max_files     = 1
        max_file_size = 10
      }

      resources {
        cpu        = 10
        memory     = 32
        memory_max = 256
      }
    }
  }
}
