#!/bin/sh
# Copyright: Infinite Databases contributors
# SPDX-License-Identifier: GPL-3.0-or-later
set -eu
exec 2> /alloc/data/settings.stderr.0
# The server's check reads a cluster's control file. pg_resetwal makes one out of nothing, in a tenth of initdb's time.
trap 'rm -rf "$PGDATA"' EXIT
mkdir -m 0700 "$PGDATA"
cd "$PGDATA"
mkdir -p global pg_wal/archive_status pg_wal/summaries
echo "$PG_VERSION" > PG_VERSION
touch global/pg_control postgresql.conf postgresql.auto.conf
pg_resetwal --force . > /dev/null
# This value is known only when a server is about to start, so the libraries are loaded for it, too.
size=$(postgres "$@" -C shared_memory_size)
[ "$size" -le "$MEMORY_MAX" ] || {
    echo "FATAL:  they need $size MiB of shared memory, and memory_max is $MEMORY_MAX" >&2
    exit 1
}
