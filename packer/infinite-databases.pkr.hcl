# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
#
# An image of a machine with everything that site.yml would install: docs/packer.md. It is one file and uses nothing newer than
# Packer 1.6.6, so that Debian's Packer can read it.

variable "extra_vars" {
  description = "Variables of the roles, as ansible-playbook's --extra-vars takes them: JSON, or @FILE."
  type        = string
  default     = "{}"
}

# Variables of the source amazon-ebs.image.

variable "region" {
  description = "Where the image is made. By default $AWS_REGION or $AWS_DEFAULT_REGION."
  type        = string
  default     = env("AWS_REGION") != "" ? env("AWS_REGION") : env("AWS_DEFAULT_REGION")

  validation {
    condition     = length(var.region) > 0
    error_message = "Name the region: -var region=eu-central-1, or AWS_REGION (the source null takes any)."
  }
}

variable "os" {
  description = "The system of the image: debian-12 or ubuntu-24.04."
  type        = string
  default     = "debian-12"

  validation {
    condition     = contains(["debian-12", "ubuntu-24.04"], var.os)
    error_message = "The os must be debian-12 or ubuntu-24.04."
  }
}

variable "architecture" {
  description = "The architecture of the image: x86_64 or arm64."
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "The architecture must be x86_64 or arm64."
  }
}

variable "instance_type" {
  description = "The instance that the image is made on; by default t3.large or t4g.large."
  type        = string
  default     = ""
}

variable "subnet_id" {
  description = "A subnet with access to the Internet; empty: one of the default VPC."
  type        = string
  default     = ""
}

variable "admin_cidrs" {
  description = "Who can reach port 22 of that instance while it exists. To log in they also need its temporary key."
  type        = list(string)
  default     = ["0.0.0.0/0"]
}

variable "disk_size_gb" {
  description = "The image's root disk. The databases are on another disk."
  type        = number
  default     = 8
}

variable "kms_key_id" {
  description = "The key that encrypts the image; empty: the account's default key for EBS."
  type        = string
  default     = ""
}

# Variables of the source null.host: the same steps on an existing machine.

variable "host" {
  description = "The machine's address."
  type        = string
  default     = ""
}

variable "user" {
  description = "A user of the machine who may become root."
  type        = string
  default     = "root"
}

variable "key_file" {
  description = "The private key of that user."
  type        = string
  default     = ""
}

variable "clean" {
  description = "Remove everything that identifies the machine, also its SSH keys. An image needs that; never do it to a machine in use."
  type        = bool
  default     = false
}

locals {
  machines = {
    x86_64 = { name = "amd64", instance_type = "t3.large" }
    arm64  = { name = "arm64", instance_type = "t4g.large" }
  }
  machine = local.machines[var.architecture]
  bases = {
    "debian-12" = {
      owner  = "136693071363"
      name   = "debian-12-${local.machine.name}-*"
      user   = "admin"
      device = "/dev/xvda"
    }
    "ubuntu-24.04" = {
      owner  = "099720109477"
      name   = "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-${local.machine.name}-server-*"
      user   = "ubuntu"
      device = "/dev/sda1"
    }
  }
  base = local.bases[var.os]
  name = "infinite-databases-${var.os}"
  tags = {
    Name           = local.name
    infinite_image = "infinite-databases"
    infinite_os    = var.os
  }
}

source "amazon-ebs" "image" {
  region          = var.region
  ami_name        = "${local.name}-${formatdate("YYYYMMDD-hhmmss", timestamp())}"
  ami_description = "Infinite Databases: Docker, Nomad and the images of PostgreSQL and Traefik on ${var.os}"
  tags            = merge(local.tags, { infinite_base = "{{ .SourceAMIName }}" })
  snapshot_tags   = local.tags

  source_ami_filter {
    filters = {
      name                = local.base.name
      architecture        = var.architecture
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
    owners      = [local.base.owner]
    most_recent = true
  }

  instance_type                         = var.instance_type != "" ? var.instance_type : local.machine.instance_type
  subnet_id                             = var.subnet_id
  temporary_security_group_source_cidrs = var.admin_cidrs
  run_tags                              = { Name = "packer-${local.name}" }
  run_volume_tags                       = { Name = "packer-${local.name}" }

  ssh_username            = local.base.user
  temporary_key_pair_type = "ed25519"

  # The disk is encrypted from the start, so the image is encrypted without a copy. Packer 1.6 needs gp3's default iops and throughput here.
  launch_block_device_mappings {
    device_name           = local.base.device
    volume_size           = var.disk_size_gb
    volume_type           = "gp3"
    iops                  = 3000
    throughput            = 125
    encrypted             = true
    kms_key_id            = var.kms_key_id
    delete_on_termination = true
  }
}

source "null" "host" {
  communicator         = "ssh"
  ssh_host             = var.host
  ssh_username         = var.user
  ssh_private_key_file = var.key_file
}

build {
  sources = ["source.amazon-ebs.image", "source.null.host"]

  # Ansible connects by SSH itself, not through a server in Packer. The machine is new, so nobody knows its host key yet.
  provisioner "ansible" {
    playbook_file    = "${path.root}/image.yml"
    user             = build.User
    use_proxy        = false
    ansible_env_vars = ["ANSIBLE_CONFIG=${abspath(path.root)}/../ansible.cfg"]
    extra_arguments  = ["--extra-vars", var.extra_vars, "--ssh-common-args", "-o UserKnownHostsFile=/dev/null"]
  }

  # This comes last, so that it also removes what Ansible leaves.
  provisioner "shell" {
    except          = var.clean ? [] : ["null.host"]
    script          = "${path.root}/clean.sh"
    execute_command = "{{ .Vars }} $(command -v sudo) sh {{ .Path }}"
  }
}
