# Copyright: Infinite Databases contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Copies one database into another, in one transaction, on the node of a database of this environment. Each end has a task of its own. A task
# knows only the password of its own end, and is in the network of its own end, because databases cannot reach each other.

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

variable "images" {
  type        = map(string)
  description = "The image of a database for each end: it has pg_dump, pg_restore and psql."
}

variable "versions" {
  type        = map(string)
  description = "PostgreSQL's major version in each image."
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
  description = "Extensions of the source that the target does not need."
}

variable "extensions" {
  type        = list(string)
  description = "Extensions that the target was provisioned with. If one is still missing, it will exist in a moment."
}

locals {
  # The task for each end.
  ends = { dump = "source", restore = "target" }
  secrets = {
    # libpq reads from these files where to connect, and with which password.
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

  # The job runs once. If it fails, the target is as it was, and the user gets a message.
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

    # This space is for the logs; the data passes through a pipe.
    ephemeral_disk {
      size = 50
    }

    dynamic "task" {
      for_each = local.ends
      labels   = [task.key]
      content {
        driver = "docker"
        user   = "postgres"
        # When the restore ends, Nomad ends the dump, too.
        leader = task.key == "restore"

        config {
          image              = var.images[task.value]
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
          PATH          = "/usr/lib/postgresql/${var.versions[task.value]}/bin:/usr/bin:/bin"
          PGSERVICEFILE = "/secrets/service.conf"
          PGSERVICE     = task.value
          PG_VERSION    = var.versions[task.value]
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
          data        = task.key == "dump" ? file("dump.sh") : file("restore.sh")
        }

        # As in postgres.nomad.hcl: the log is written where Nomad looks for it.
        logs {
          disabled      = true
          max_files     = 1
          max_file_size = 10
        }

        resources {
          cpu        = 10
          memory     = 64
          memory_max = 512
        }
      }
    }
  }
}
