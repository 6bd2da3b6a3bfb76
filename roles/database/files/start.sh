#!/bin/sh
# Copyright: Infinite Databases contributors
# SPDX-License-Identifier: GPL-3.0-or-later
set -eu
rm -f /alloc/data/ready
# A start continues the numbers of the last start, so the piece with the highest number is the newest.
piece=0
for log in /alloc/data/postgres.stderr.*; do
    if [ -e "$log" ] && [ "${log##*.}" -ge $piece ]; then
        piece=$((${log##*.} + 1))
    fi
done
rm -f /alloc/data/postgres.stderr.$((piece - 2))
exec 2>> /alloc/data/postgres.stderr.$piece
refuse() {
    echo "database $DATABASE: $1" >&2
    exit 1
}
exec 9> /volume/lock
# A server that is being replaced may still be writing its last checkpoint.
flock -w 150 9 || refuse "another server uses this volume; stop that one first"
[ -s "$PGDATA/PG_VERSION" ] || refuse "its volume holds no data and a database is never created over lost data; bring the volume back"
# If somebody removes jobs and variables by hand, a used volume may get back into the pool. No database may get another database's data.
new=
[ -s /volume/database ] || { echo "$DATABASE" > /volume/database && new=yes; }
owner=$(cat /volume/database)
[ "$owner" = "$DATABASE" ] || refuse "its volume holds the data of database $owner; copy that out on the node before this one is purged"
found=$(cat "$PGDATA/PG_VERSION")
[ "$found" = "$PG_VERSION" ] || refuse "its data is of PostgreSQL $found and this server is $PG_VERSION; set the version to $found"
cat > /tmp/pg_hba.conf <<'HBA'
# Everybody comes through Traefik, which ends TLS and applies the allow-list.
local all      postgres peer
local all      all      reject
host  all      postgres all     reject
host  all      all      all     scram-sha-256
HBA
# The node's backup agent backs a database up while this file names its stanza. A crash may leave sockets in /volume/run.
rm -rf /volume/run
case " $* " in
*" --archive_mode=on "*)
    mkdir -m 0700 /volume/run
    echo "$VOLUME" > /volume/stanza.new
    mv /volume/stanza.new /volume/stanza
    cat > /tmp/pgbackrest.sh <<'ARCHIVE'
# The agent archives a file that PostgreSQL has marked as ready, and pgBackRest notes that the repository has the file.
tries=0
until [ -e "/volume/spool/archive/$VOLUME/out/$1.ok" ]; do
    tries=$((tries + 1))
    [ $tries -lt 25 ] || { echo "the node's backup agent has not archived $1 yet; PostgreSQL keeps it" >&2; exit 1; }
    sleep 0.2
done
ARCHIVE
    ;;
*)
    # What is written from now on will be missing in the repository. Without the second file, the agent begins with a new full backup.
    rm -f /volume/stanza /volume/repository
    ;;
esac
# If the server would not start with these settings, the script ends here, with the reason in the log.
postgres "$@" -C data_directory > /dev/null
# The server's log is written in pieces of 4 MB, of which two are kept, so that no client can fill the node's disk with it. head writes at
# once what it reads (stdbuf), and needs neither time nor memory for a line of many megabytes.
keep_log() {
    # Until a new database has its roles, its sessions only log that the server refuses our query. These lines are left out.
    [ -z "$new" ] || sed -u "/^granted$/Q; / $DATABASE@$DATABASE \|^\t/d" >> /alloc/data/postgres.stderr.$piece
    while :; do
        if stdbuf -o0 head -c 4000000 >> /alloc/data/postgres.stderr.$piece; then
            piece=$((piece + 1))
            rm -f /alloc/data/postgres.stderr.$((piece - 2))
        else
            # The node's disk is full. Messages are lost meanwhile, so that the server does not wait for its log.
            timeout 5 cat > /dev/null || :
        fi
    done
}
grant() {
    /bin/sh /local/grant.sh wait || :
    [ -z "$new" ] || echo granted > /tmp/log
}
mkfifo /tmp/log
# A crash may leave this file. It means nothing in a new PID namespace; the lock above protects the data.
rm -f "$PGDATA/postmaster.pid"
# Each function runs in a subshell of its own, so that it is no child of the server: the postmaster takes a failed child that it does not
# know for a crash. keep_log opens the pipe for writing, too, so that the pipe never ends.
(keep_log <> /tmp/log &)
(grant &)
exec postgres "$@" 2> /tmp/log
