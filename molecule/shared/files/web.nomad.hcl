# Copyright: Infinite Databases contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A web server. Traefik routes to it as to a database: by the host name of a TLS connection.

variable "image" {
  type = string
}

variable "name" {
  type = string
}

variable "host" {
  type = string
}

job "web" {
  id        = var.name
  name      = var.name
  namespace = "databases"

  update {
    min_healthy_time = "1s"
  }

  group "web" {
    task "web" {
      driver = "docker"

      config {
        image   = var.image
        command = "python3"
        args    = ["-m", "http.server", "--directory", "/local", "8000"]
      }

      template {
        destination = "local/index.html"
        data        = "This is ${var.name}."
      }

      service {
        name         = "web"
        provider     = "nomad"
        port         = 8000
        address_mode = "driver"
        tags = [
          "traefik.enable=true",
          "traefik.tcp.routers.${var.name}.rule=HostSNI(`${var.host}`)",
          "traefik.tcp.routers.${var.name}.entrypoints=postgres",
          "traefik.tcp.routers.${var.name}.service=${var.name}",
          "traefik.tcp.routers.${var.name}.tls=true",
          "traefik.tcp.routers.${var.name}.tls.options=postgres@file",
          "traefik.tcp.services.${var.name}.loadbalancer.server.port=8000",
          "node=${node.unique.id}",
        ]
      }

      resources {
        cpu    = 20
        memory = 64
      }
    }
  }
}
