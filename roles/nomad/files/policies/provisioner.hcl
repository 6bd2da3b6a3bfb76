# Everything that creating, changing, listing and removing databases needs, and nothing else.

namespace "databases" {
  # Left out on purpose: alloc-exec and read-fs (they reach into a database's data and secrets), host-volume-register and
  # host-volume-write (they make a volume of any directory of the host).
  capabilities = [
    "list-jobs",
    "parse-job",
    "read-job",
    "submit-job",
    "dispatch-job",
    "read-logs",
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
    # What a database's own job may read: the SCRAM verifier.
    path "nomad/jobs/*" {
      capabilities = ["read", "write", "list", "destroy"]
    }
    # Claims of prepared volumes.
    path "pool/*" {
      capabilities = ["read", "write", "list", "destroy"]
    }
  }
}

# A job may mount the dynamic volumes of its own namespace. Nomad asks for this by the volume's name, in any namespace.
host_volume "*" {
  capabilities = ["mount-readwrite"]
}

# Which nodes there are, and a database's node's address.
node {
  policy = "read"
}
