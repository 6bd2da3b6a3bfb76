# The rights that the task `collector` needs. It changes only its own figures.
namespace "databases" {
  capabilities = ["list-jobs", "read-job", "host-volume-read"]

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
