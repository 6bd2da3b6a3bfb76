# What database_expire, database_orphans and the reaper ask of Nomad. There is no submit-job: it can end jobs and run none.
namespace "databases" {
  capabilities = ["list-jobs", "read-job", "purge-job", "host-volume-read", "host-volume-delete"]

  variables {
    # A record is read whole, passwords included, and written whole: to note when its database was destroyed, or that a password ended.
    path "databases/*" {
      capabilities = ["read", "write", "list", "destroy"]
    }
    # Whether a variable is what a database's job reads, or the lock of an interrupted transfer.
    path "nomad/jobs/*" {
      capabilities = ["read", "write", "list", "destroy"]
    }
    path "pool/*" {
      capabilities = ["read", "list", "destroy"]
    }
  }
}

node {
  policy = "read"
}
