# The rights that database_expire, database_orphans and the reaper need. submit-job is left out: the reaper can end jobs, but run none.
namespace "databases" {
  capabilities = ["list-jobs", "read-job", "purge-job", "host-volume-read", "host-volume-delete"]

  variables {
    # A record is read and written as a whole, passwords included, to note when its database was destroyed, or that a password ended.
    path "databases/*" {
      capabilities = ["read", "write", "list", "destroy"]
    }
    # The variables of databases' jobs, and the locks of interrupted transfers.
    path "nomad/jobs/*" {
      capabilities = ["read", "write", "list", "destroy"]
    }
    # The keys of the backups' repository.
    path "nomad/jobs/_backup" {
      capabilities = ["deny"]
    }
    path "pool/*" {
      capabilities = ["read", "list", "destroy"]
    }
  }
}

node {
  policy = "read"
}
