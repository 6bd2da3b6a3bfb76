# Lets somebody see which databases there are, without any secret: variables can be listed, but not read.

namespace "databases" {
  capabilities = ["list-jobs", "read-job", "host-volume-read"]

  variables {
    path "databases/*" {
      capabilities = ["list"]
    }
    path "pool/*" {
      capabilities = ["list"]
    }
  }
}

node {
  policy = "read"
}
