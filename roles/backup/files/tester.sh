#!/bin/sh
# Copyright: Infinite Databases contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Runs a server on each restored database that the backup agent puts into /work, and says what it finds. tester.py says which files are
# written. This container has neither keys nor a network.
set -eu
# A server that is stopped in the middle leaves no image of its memory. Debian's sh knows the option.
# shellcheck disable=SC3045
ulimit -c 0
cat > /tmp/pg_hba.conf <<'HBA'
local all postgres peer
HBA
# usage: fetch.sh NAME DESTINATION. The agent gets this file of the log. An exit status above 125 ends the recovery.
cat > /tmp/fetch.sh <<'FETCH'
rm -f "/work/$1" "/work/$1.none"
echo "$1" > "$TEST.wanted.new"
mv "$TEST.wanted.new" "$TEST.wanted"
until [ -e "/work/$1" ]; do
    [ ! -e "/work/$1.none" ] || exit 1
    # The agent has given up.
    [ -d "$TEST" ] || exit 200
    sleep 0.05
done
mv "/work/$1" "$2"
FETCH
# These options hold whatever the database's settings are.
export PGOPTIONS="-c default_transaction_read_only=off -c search_path=pg_catalog -c statement_timeout=0 -c client_min_messages=warning
    -c local_preload_libraries="

fail() {
    echo "failed $1"
    exit 0
}
# pg_ctl does not find the server if the agent has removed its directory. The first line of this file is the server's process.
stop() {
    [ -e /tmp/.s.PGSQL.5432.lock ] || return 0
    server=$(sed q /tmp/.s.PGSQL.5432.lock)
    kill -QUIT "$server" 2> /dev/null || return 0
    while kill -0 "$server" 2> /dev/null; do
        sleep 0.1
    done
}
why() { grep -E 'FATAL|PANIC' /tmp/log || tail -n 5 /tmp/log; }

run() {
    [ ! -e "$TEST.begun" ] || fail "the server's container ended during the test; if it lacked memory, increase backup_test_memory_max"
    : > "$TEST.begun"
    # Settings in the backup may name programs to run. The server needs none of them.
    : > "$PGDATA/postgresql.auto.conf"
    # Nothing has to survive: no fsync. The log's files are removed once they are replayed.
    cat > /tmp/postgresql.conf <<CONF
restore_command = 'sh /tmp/fetch.sh "%f" "%p"'
max_prepared_transactions = $(pg_controldata | sed -n 's/^max_prepared_xacts setting: *//p')
hba_file = '/tmp/pg_hba.conf'
listen_addresses = ''
unix_socket_directories = '/tmp'
hot_standby = off
archive_mode = off
autovacuum = off
fsync = off
full_page_writes = off
max_wal_senders = 0
max_wal_size = 128MB
max_connections = 10
shared_buffers = 32MB
CONF
    : > /tmp/log
    pg_ctl start --silent --wait --timeout=86400 --log=/tmp/log --options="--config_file=/tmp/postgresql.conf" > /dev/null 2>&1 || fail "$(why)"
    # pg_ctl has waited only until the data is consistent. Queries are answered at the recovery's end.
    until pg_isready --quiet; do
        pg_ctl status > /dev/null || fail "$(why)"
        sleep 0.2
    done
    moment=$(sed -n 's/.*last completed transaction was at log time \(.*\)/\1/p' /tmp/log | tail -n 1)
    replayed=$(psql -XAtq -d postgres -c 'SELECT pg_last_wal_replay_lsn()' 2>&1) || fail "$replayed"
    psql -XAtq -v ON_ERROR_STOP=1 -d postgres > /tmp/said 2>&1 <<'SQL' || fail "$(cat /tmp/said)"
SELECT format('ALTER DATABASE %I ALLOW_CONNECTIONS true CONNECTION LIMIT -1', datname) FROM pg_database WHERE NOT datistemplate \gexec
SELECT datname FROM pg_database WHERE NOT datistemplate
SQL
    relations=0
    while IFS= read -r database; do
        # PostgreSQL's own relations have smaller numbers.
        count=$(psql -XAtq -d "$database" -c "SELECT count(*) FROM pg_class WHERE oid >= 16384 AND relkind <> 't'" 2>&1 < /dev/null) || fail "$count"
        relations=$((relations + count))
    done < /tmp/said
    # Reads all tables and B-tree indexes. It calls no function of users, because it does not look up each row in the indexes.
    pg_amcheck --all --install-missing > /tmp/said 2>&1 || fail "pg_amcheck: $(head -n 3 /tmp/said)"
    echo "done $replayed $relations ${moment:-none after the backup}"
}

while :; do
    for TEST in "/work/$VERSION"-*; do
        if [ -d "$TEST" ] && [ ! -e "$TEST.result" ]; then
            export TEST PGDATA="$TEST/data"
            run < /dev/null | tr '\n' ' ' | tr -s ' ' | tr -cd '\040-\176' | head -c 900 > "$TEST.new"
            stop
            [ -s "$TEST.new" ] || echo "failed the test ended before it had a result" > "$TEST.new"
            # If the agent has given up, nobody waits for the result.
            if [ -d "$TEST" ]; then mv "$TEST.new" "$TEST.result"; else rm "$TEST.new"; fi
            # The next database gets a new container: code from this one's backup may have taken this container over.
            exit 0
        fi
    done
    sleep 2
done
