# What task `collector` asks of Nomad. It changes nothing but its own figures.
namespace "databases" {
  capabilities = ["list-jobs", "read-job", "host-volume-read"]

  variables {
    # A record is read whole, passwords included: only this task has the right, which nobody reaches by network.
    path "databases/*" {
      capabilities = ["read", "list"]
    }
    # Which volumes of the pool are claimed.
    path "pool/*" {
      capabilities = ["list"]
    }
    # When tokens end, as site.yml noted it.
    path "endings" {
      capabilities = ["read", "list"]
    }
    # What each node says of its databases.
    path "status/*" {
      capabilities = ["read", "list", "write"]
    }
  }
}

node {
  policy = "read"
}
