#!/bin/sh
# Copyright: Infinite Databases contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The last line of the standard output is `done MOMENT`, the time of the last transaction that was restored, or `failed REASON`.
set -eu
exec > /alloc/data/recovery.stdout.0 2> /alloc/data/recovery.stderr.0
cd /volume
fail() {
    printf 'failed %s\n' "$(printf '%s' "$1" | head -c 2000 | tr '\n' ' ')"
    exit 1
}
# No two jobs work on the volume, and no database that has run is replaced: start.sh writes the file database.
exec 9> lock
flock -w 150 9 || fail "another job uses the volume"
[ ! -s database ] || fail "the database $(cat database) has already run on this volume"
# The settings that initdb has found for this volume.
[ -e postgresql.conf ] || cp data/postgresql.conf postgresql.conf
# Without the mark, nobody takes the volume for a prepared one.
rm -rf prepared data spool order stanza repository run
mkdir -m 0700 data
# The newest file of the log that the repository has now.
pgbackrest info > /tmp/info 2>&1 || fail "$(cat /tmp/info)"
last=$(sed -n 's|.*wal archive min/max ([0-9.]*): .*/\([0-9A-F]*\)$|\1|p' /tmp/info | tail -n 1)
if [ -n "$AT" ]; then
    moment="$(printf '%s' "$AT" | tr T ' ')"
    pgbackrest --archive-mode=off --type=time "--target=$moment" --target-action=promote restore > /tmp/restored 2>&1
else
    pgbackrest --archive-mode=off restore > /tmp/restored 2>&1
fi || fail "$(grep -A 3 'ERROR: ' /tmp/restored || cat /tmp/restored)"
# The settings in the backup may name programs to run, and this container has the repository's keys. Only pgBackRest's own lines are kept.
cp postgresql.conf data/postgresql.conf
grep -E '^recovery_target[a-z_]* = ' data/postgresql.auto.conf > /tmp/auto.conf || :
# PostgreSQL takes an exit status up to 125 for the end of the log. But pgBackRest tells the end by 1, and any other failure by another status.
cat > /tmp/fetch.sh <<'FETCH'
status=0
pgbackrest archive-get "$1" "$2" > /tmp/fetched 2>&1 || status=$?
[ "$status" -le 1 ] || mv /tmp/fetched /tmp/unfetched
[ "$status" -le 1 ] || exit 200
exit "$status"
FETCH
echo "restore_command = 'sh /tmp/fetch.sh \"%f\" \"%p\"'" >> /tmp/auto.conf
cp /tmp/auto.conf data/postgresql.auto.conf

cat > /tmp/pg_hba.conf <<'HBA'
local all postgres peer
HBA
# The server is closed: it has no port, and takes no queries before the recovery is at its end. It neither archives nor runs jobs.
start() {
    : > /tmp/log
    pg_ctl start --silent --wait --timeout=86400 --log=/tmp/log --options="$* --listen_addresses= --unix_socket_directories=/tmp \
        --hot_standby=off --archive_mode=off --shared_preload_libraries= --hba_file=/tmp/pg_hba.conf --max_wal_senders=0" \
        > /dev/null 2>&1 || return 1
    # pg_ctl has waited only until the data is consistent. Queries are answered at the recovery's end.
    until pg_isready --quiet; do
        pg_ctl status > /dev/null || return 1
        sleep 0.1
    done
}
# pg_ctl passes its options on through a shell.
quoted() {
    for option in "$@"; do
        printf "'%s' " "$(printf '%s' "$option" | sed "s/'/'\\\\''/g")"
    done
}
options=$(quoted "$@")
why() {
    if [ -e /tmp/unfetched ]; then cat /tmp/unfetched; else grep -E 'FATAL|PANIC' /tmp/log || tail -n 5 /tmp/log; fi
}
at_end=
last() { sed -n 's/.*last completed transaction was at log time \(.*\)/\1/p' /tmp/log | tail -1; }
[ -n "$AT" ] || at_end=yes
if ! start "$options"; then
    grep -q 'recovery ended before configured recovery target was reached' /tmp/log || fail "$(why)"
    # The repository has no transaction after the moment. So the moment's state is the latest one.
    at_end=yes
    reached=$(last)
    sed -i '/^recovery_target/d' data/postgresql.auto.conf
    start "$options" || fail "$(why)"
fi
[ -n "${reached:-}" ] || reached=$(last)
# These options hold whatever the database's settings are.
export PGOPTIONS="-c default_transaction_read_only=off -c search_path=pg_catalog -c statement_timeout=0 -c client_min_messages=warning"
# The source's log was archived up to REACH before the restore began, and the repository has the file `last`. If less was replayed, a part of
# the log is missing or damaged.
begin_of_last=$(printf '%s' "$last" | sed -n 's|^.\{8\}\(.\{8\}\).\{6\}\(..\)$|\1/\2000000|p')
: "${REACH:=0/0}" "${begin_of_last:=0/0}"
if [ -n "$at_end" ]; then
    [ "$(psql -XAtq -d postgres -c "SELECT replayed >= '$REACH' AND replayed > '$begin_of_last' FROM pg_last_wal_replay_lsn() AS replayed")" = t ] ||
        fail "the repository lacks a part of the write-ahead log; restore to a moment before ${reached:-the last backup}"
fi

psql -X -q -v ON_ERROR_STOP=1 -v from="$SOURCE" -v to="$DATABASE" -v renames="$RENAMES" -d postgres > /tmp/renamed 2>&1 <<'SQL' || fail "$(cat /tmp/renamed)"
-- Settings of the recovery, and of the disk guard.
ALTER SYSTEM RESET ALL;
-- The former passwords do not work here. The database's own start gives the roles new ones.
SELECT format('ALTER ROLE %I PASSWORD NULL', rolname) FROM pg_authid WHERE rolpassword IS NOT NULL \gexec
SELECT format('ALTER ROLE %I RENAME TO %I', split_part(pair, ':', 1), split_part(pair, ':', 2))
  FROM unnest(string_to_array(:'renames', ' ')) AS pair JOIN pg_roles ON rolname = split_part(pair, ':', 1) \gexec
SELECT format('ALTER DATABASE %I RENAME TO %I', :'from', :'to') FROM pg_database WHERE datname = :'from' AND :'from' <> :'to' \gexec
SELECT format('ALTER DATABASE %I ALLOW_CONNECTIONS true', datname) FROM pg_database WHERE datname = :'to' AND NOT datallowconn \gexec
\connect :"to"
-- In a copy, jobs of pg_cron would do their work a second time. The extension's library, which its trigger calls, is not loaded.
SET session_replication_role = replica;
SELECT format('UPDATE cron.job SET active = false, database = replace(database, %L, %L), username = coalesce(
    (SELECT split_part(pair, '':'', 2) FROM unnest(string_to_array(%L, '' '')) AS pair WHERE split_part(pair, '':'', 1) = username), username)',
    :'from', :'to', :'renames') FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace
 WHERE nspname = 'cron' AND relname = 'job' AND :'from' <> :'to' \gexec
SQL
pg_ctl stop --silent --wait --mode=fast --timeout=3600 > /dev/null 2>&1 || fail "$(tail -5 /tmp/log)"
rm -rf spool postgresql.conf
: > prepared
sync -f .
printf 'done %s\n' "${reached:-none after the backup}"
