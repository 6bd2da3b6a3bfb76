# The rights to create, change, list and remove databases, and no others.

namespace "databases" {
  # read-fs is for logs, which tasks write to alloc/data. It shows an allocation's own directory, without secrets/ and without volumes. Three
  # rights are left out on purpose: alloc-exec (it opens a database's data and secrets), and host-volume-register and host-volume-write
  # (they can turn any directory of the host into a volume).
  capabilities = [
    "list-jobs",
    "parse-job",
    "read-job",
    "submit-job",
    "dispatch-job",
    "read-fs",
    "alloc-lifecycle",
    "host-volume-create",
    "host-volume-read",
    "host-volume-delete",
  ]

  variables {
    # The plain passwords.
    path "databases/*" {
      capabilities = ["read", "write", "list", "destroy"]
    }
    # The variables that databases' own jobs may read, with the SCRAM verifiers.
    path "nomad/jobs/*" {
      capabilities = ["read", "write", "list", "destroy"]
    }
    # Claims of prepared volumes.
    path "pool/*" {
      capabilities = ["read", "write", "list", "destroy"]
    }
  }
}

# A dump streams through a command in a container (`dump`, `load`). alloc-exec is for a whole namespace, so these jobs have one of their own,
# without volumes and variables: the right only opens containers that its holder could have started with any command in the first place.
namespace "dumps" {
  capabilities = ["parse-job", "read-job", "submit-job", "alloc-exec"]
}

# To know how much is free on each node, a run has to see what Traefik reserves there.
# drift.yml checks whether Traefik runs on each node, and has Nomad try again if it has failed for good.
namespace "platform" {
  capabilities = ["list-jobs", "read-job", "evaluate-job"]
}

# A job may mount the dynamic volumes of its own namespace. Nomad asks for this by the volume's name, in any namespace.
host_volume "*" {
  capabilities = ["mount-readwrite"]
}

# Only the backup agent's job mounts all volumes at once; site.yml registers this job with another token.
host_volume "infinite-databases" {
  policy = "deny"
}

# These have the data of the database whose restore is being tested.
host_volume "infinite-restores" {
  policy = "deny"
}

host_volume "infinite-restored" {
  policy = "deny"
}

# A restore reads the repository, if it is a directory.
host_volume "infinite-backups" {
  capabilities = ["mount-readonly"]
}

# The nodes and their addresses.
node {
  policy = "read"
}
