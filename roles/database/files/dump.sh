#!/bin/sh
# Copyright: Infinite Databases contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Writes the source's version, size and extensions into /alloc/data/facts. Then dumps the source, once the restore opens the pipe.
# /alloc/data/dumped says how the dump ended. This script never fails, because Nomad would then end the restore before the restore has reported
# the reason.
set -eu
exec > /alloc/data/dump.stdout.0 2> /alloc/data/dump.stderr.0
say() {
    printf '%s\n' "$2" > "/alloc/data/$1.new"
    mv "/alloc/data/$1.new" "/alloc/data/$1"
}
mkfifo /alloc/data/pipe
if ! facts=$(psql -XqAt -F ' ' -v ON_ERROR_STOP=1 2> /tmp/error -c "
    SELECT current_setting('server_version_num')::int / 10000, pg_database_size(current_database()),
        (SELECT string_agg(extname, ' ' ORDER BY extname) FROM pg_extension WHERE extname <> 'plpgsql')" -c "
    SELECT coalesce(string_agg(nspname || ' ' || relname, '|'), '-') FROM pg_extension, unnest(extconfig) AS table_id
      JOIN pg_class ON pg_class.oid = table_id JOIN pg_namespace AS n ON n.oid = relnamespace
     WHERE nspname || relname ~ '^[A-Za-z0-9_]+$'"); then
    say dumped "source: $(cat /tmp/error)"
    exit
fi
say facts "$facts"
if pg_dump --format=custom --compress=0 --no-publications --no-subscriptions --no-security-labels \
    > /alloc/data/pipe 2> /tmp/error; then
    say dumped ok
else
    say dumped "source: $(cat /tmp/error)"
fi
