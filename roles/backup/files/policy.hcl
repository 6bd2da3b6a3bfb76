# The rights that records.py needs.
namespace "databases" {
  variables {
    # The records, passwords included. The repository has them encrypted, so that a lost environment can be restored with the same passwords.
    path "databases/*" {
      capabilities = ["read", "list"]
    }
  }
}
