# Copyright: Infinite Databases contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PostgreSQL's programs beside a database's server, for `dump` and `load`. The playbook runs one of the two scripts in the container and carries
# its input and output, so no data is stored on the node. The job knows no password: the script reads it from its input. The job ends by
# itself if the playbook has gone.

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
  description = "The image of the database's server: it has pg_dump and pg_restore of the server's version."
}

variable "version" {
  type        = string
  description = "PostgreSQL's major version."
}

variable "network" {
  type        = string
  description = "Docker's network: the container of the database's server."
}

variable "user" {
  type = string
}

variable "database" {
  type = string
}

variable "replace" {
  type        = bool
  description = "For load: drop what the database has."
}

variable "without_extensions" {
  type        = list(string)
  description = "For load: extensions of the dump that the database does not need."
}

variable "extensions" {
  type        = list(string)
  description = "For load: extensions that the database was provisioned with. If one is still missing, it will exist in a moment."
}

job "stream" {
  id        = var.id
  name      = var.id
  namespace = var.namespace
  type      = "batch"

  constraint {
    attribute = "${node.unique.id}"
    value     = var.node
  }

  # The job runs once. A dump or a load that is cut off cannot go on.
  group "stream" {
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

    # The data passes through pipes; this is the least that Nomad accepts.
    ephemeral_disk {
      size = 10
    }

    task "programs" {
      driver = "docker"
      user   = "postgres"

      config {
        image              = var.image
        entrypoint         = ["/bin/sh", "/local/wait.sh"]
        network_mode       = var.network
        init               = true
        readonly_rootfs    = true
        cap_drop           = ["all"]
        security_opt       = ["no-new-privileges"]
        image_pull_timeout = "10m"

        mount {
          type   = "tmpfs"
          target = "/tmp"
          tmpfs_options {
            size = 134217728
          }
        }
      }

      env {
        PATH              = "/usr/lib/postgresql/${var.version}/bin:/usr/bin:/bin"
        PG_VERSION        = var.version
        PGHOST            = "127.0.0.1"
        PGSSLMODE         = "disable"
        PGUSER            = var.user
        PGDATABASE        = var.database
        PGPASSFILE        = "/tmp/pass"
        PGCONNECT_TIMEOUT = "15"
        PGAPPNAME         = "infinite.databases stream"
        REPLACE           = var.replace
        WITHOUT           = join(" ", var.without_extensions)
        EXPECTED          = join(" ", var.extensions)
        HOME              = "/tmp"
        LANG              = "C.UTF-8"
        TZ                = "UTC"
      }

      template {
        destination = "local/wait.sh"
        data        = file("stream_wait.sh")
      }

      template {
        destination = "local/dump.sh"
        data        = file("stream_dump.sh")
      }

      template {
        destination = "local/load.sh"
        data        = file("stream_load.sh")
      }

      template {
        destination = "local/restore.sh"
        data        = file("restore.sh")
      }

      logs {
        disabled      = true
        max_files     = 1
        max_file_size = 1
      }

      resources {
        cpu        = 10
        memory     = 64
        memory_max = 512
      }
    }
  }
}
