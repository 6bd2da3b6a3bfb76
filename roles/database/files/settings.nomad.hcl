# Copyright: Infinite Databases contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Tries whether a PostgreSQL server would start with the settings. It touches no database.

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

variable "memory_max" {
  type        = number
  description = "MiB at which the server would be out of memory."
}

variable "settings" {
  type        = map(string)
  description = "PostgreSQL's settings."
}

job "settings" {
  id        = var.id
  name      = var.id
  namespace = var.namespace
  type      = "batch"

  group "settings" {
    # A second try would have the same result.
    restart {
      attempts = 0
      mode     = "fail"
    }

    reschedule {
      attempts  = 0
      unlimited = false
    }

    ephemeral_disk {
      size = 40
    }

    task "settings" {
      driver = "docker"
      user   = "postgres"

      config {
        image              = var.image
        entrypoint         = ["/bin/sh", "/local/try.sh"]
        args               = [for key in sort(keys(var.settings)) : "--${key}=${var.settings[key]}"]
        readonly_rootfs    = true
        cap_drop           = ["all"]
        security_opt       = ["no-new-privileges"]
        network_mode       = "none"
        image_pull_timeout = "10m"
      }

      env {
        PG_VERSION = var.version
        MEMORY_MAX = var.memory_max
        PGDATA     = "/alloc/tmp/data"
        PATH       = "/usr/lib/postgresql/${var.version}/bin:/usr/bin:/bin"
        LANG       = "C.UTF-8"
        TZ         = "UTC"
      }

      template {
        destination = "local/try.sh"
        data        = file("try.sh")
      }

      # As in postgres.nomad.hcl: the task writes its log itself.
      logs {
        disabled      = true
        max_files     = 1
        max_file_size = 10
      }

      resources {
        cpu        = 20
        memory     = 16
        memory_max = 256
      }
    }
  }
}
