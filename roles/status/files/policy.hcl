# The rights that the task `collector` needs. It changes only its own figures.
namespace "databases" {
  # read-fs is for the backup agents' file. Nomad cannot limit this right to one job, so it also shows databases' logs, but no secrets/ and no
  # volumes. The task can read the passwords below anyway.
  capabilities = ["list-jobs", "read-job", "read-fs", "host-volume-read"]

  variables {
    # A record is read as a whole, passwords included. Only this task has the right, and nobody can reach the task by network.
    path "databases/*" {
      capabilities = ["read", "list"]
    }
    # The claims of the pool's volumes.
    path "pool/*" {
      capabilities = ["list"]
    }
    # The note of site.yml when tokens end.
    path "endings" {
      capabilities = ["read", "list"]
    }
    # The figures of each node.
    path "status/*" {
      capabilities = ["read", "list", "write"]
    }
  }
}

node {
  policy = "read"
}
