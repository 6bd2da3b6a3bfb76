#!/bin/sh
# Copyright: Infinite Databases contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Restores the dump that comes through the pipe, in one transaction. The transaction is committed only after both ends have reported
# success. The module reads the standard output: lines `progress TABLES OF BYTES SOURCE`, and a last line that says how the restore ended.
set -eu
# If a pipe breaks, this script reports that and goes on.
trap '' PIPE
# A load reads the output as it comes (stream_load.sh).
[ -n "${STREAM:-}" ] || exec > /alloc/data/restore.stdout.0 2> /alloc/data/restore.stderr.0
cd /tmp
end() {
    printf '%s %s\n' "$1" "$(printf '%s' "$2" | head -c 4000 | tr '\n' ' ')"
    [ "$1" = "done" ] && exit
    exit 1
}
# Waits for a file that the dump writes. If the dump was killed, the file never appears.
await() {
    tries=0
    until [ -e "/alloc/data/$1" ]; do
        [ ! -e /alloc/data/dumped ] || end failed "$(cat /alloc/data/dumped)"
        tries=$((tries + 1))
        [ $tries -lt "$2" ] || end failed "source: the dump ended without a message; was there not enough memory?"
        sleep 0.1
    done
}
ask() {
    psql -XqAt -F ' ' -v ON_ERROR_STOP=1 -c "$1" 2> error
}
await facts 1800
{
    read -r source_version source_size source_extensions
    read -r extension_tables
} < /alloc/data/facts
# A dump does not say which tables belong to extensions. The target has the same extensions.
[ -z "${STREAM:-}" ] || extension_tables=$(ask "
    SELECT coalesce(string_agg(nspname || ' ' || relname, '|'), '-') FROM pg_extension, unnest(extconfig) AS table_id
      JOIN pg_class ON pg_class.oid = table_id JOIN pg_namespace AS n ON n.oid = relnamespace
     WHERE nspname || relname ~ '^[A-Za-z0-9_]+$'") || end failed "target: $(cat error)"
# The target may have to be empty. Objects of extensions are not counted for this. A replacement keeps the schemas that contain extensions.
found=$(ask "
    SELECT current_setting('server_version_num')::int / 10000, pg_database_size(current_database()),
        (SELECT count(*) FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace
          WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
            AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e'))
        + (SELECT count(*) FROM pg_proc JOIN pg_namespace AS n ON n.oid = pronamespace
          WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
            AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = pg_proc.oid AND deptype = 'e'))
        + (SELECT count(*) FROM pg_largeobject_metadata),
        (SELECT coalesce(string_agg(nspname, '|'), '-') FROM pg_namespace WHERE nspname ~ '^[A-Za-z0-9_]+$'
          AND ('$REPLACE' <> 'true' OR nspname = 'public' OR oid IN (SELECT extnamespace FROM pg_extension))),
        (SELECT string_agg(extname, ' ') FROM pg_extension)") || end failed "target: $(cat error)"
read -r target_version target_size objects schemas target_extensions <<END
$found
END
[ "$source_version" -le "$PG_VERSION" ] ||
    end refused "the source is PostgreSQL $source_version, which pg_dump $PG_VERSION cannot read; provision one of that version"
[ "$target_version" -ge "$PG_VERSION" ] ||
    end refused "the target is PostgreSQL $target_version, which cannot take a dump of version $PG_VERSION; use a newer target"
# Prints the extensions of the first list that are not in the second list.
lacking() {
    for extension in $1; do
        case " $2 " in
        *" $extension "*) ;;
        *) printf '%s ' "$extension" ;;
        esac
    done
}
tries=0
while missing=$(lacking "$source_extensions" "$target_extensions $WITHOUT") && [ -n "$missing" ]; do
    if [ -n "$(lacking "$missing" "$EXPECTED")" ] || [ $tries -ge 20 ]; then
        end missing "$missing"
    fi
    tries=$((tries + 1))
    sleep 1
    target_extensions=$(ask "SELECT string_agg(extname, ' ') FROM pg_extension") || end failed "target: $(cat error)"
done
[ "$objects" = 0 ] || [ "$REPLACE" = true ] || end occupied "$objects"

mkfifo contents archive list sql
# The dump begins with a table of contents. It is read first, to list the entries that pg_restore restores. Left out are extensions with the rows
# of their own tables, event triggers (only a superuser can make both), and schemas that exist.
tee archive < /alloc/data/pipe > contents &
{
    pg_restore --list > all 2> /dev/null || :
    unwanted="(COMMENT - )?(EXTENSION|EVENT TRIGGER)|COMMENT - SCHEMA public|SCHEMA - ($schemas)"
    grep -vE "^[0-9]+; [0-9]+ [0-9]+ ($unwanted|(TABLE DATA|SEQUENCE SET) ($extension_tables)) " all > some || :
    grep -cE '^[0-9]+; [0-9]+ [0-9]+ TABLE DATA ' some > tables || :
    cat some > list &
    cat > /dev/null
} < contents &
: > reading
begun() { grep -c 'processing data for table' reading || :; }
while sleep 2; do
    size=$(ask 'SELECT pg_database_size(current_database())') || continue
    printf 'progress %s %s %s %s\n' "$(begun)" "$(cat tables 2> /dev/null || echo 0)" $((size - target_size)) "$source_size"
done &
progress=$!
psql -XqAt -v ON_ERROR_STOP=1 < sql > /dev/null 2> writing &
writer=$!
exec 3> sql
# With client_connection_check_interval, the server soon notices that this client has gone, even while it builds an index.
# `|| :` because a failure of psql is handled below.
cat >&3 <<'SQL' || :
BEGIN;
SELECT pg_current_xact_id() \g transaction
SET client_min_messages = warning;
SET statement_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SELECT set_config(name, '2s', false) FROM pg_settings WHERE name = 'client_connection_check_interval';
SQL
[ "$REPLACE" != true ] || cat >&3 <<'SQL' || :
-- Another session's open transaction on a table that is to be dropped must not block this for ever.
SET lock_timeout = '30s';
-- Drops all that this role owns, except extensions, the schemas that extensions are in, and default privileges. Everything is listed before
-- anything is dropped. Schemas and tables are first, because other objects can only be dropped together with them.
DO $do$
DECLARE
    statement text;
BEGIN
    FOREACH statement IN ARRAY ARRAY(
        SELECT CASE WHEN type = 'large object' THEN format('SELECT lo_unlink(%s)', objid)
            ELSE format('DROP %s IF EXISTS %s CASCADE', CASE type WHEN 'composite type' THEN 'type'
                WHEN 'statistics object' THEN 'statistics' ELSE type END, identity) END
          FROM pg_shdepend, pg_identify_object(classid, objid, 0)
         WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND deptype = 'o'
           AND refclassid = 'pg_authid'::regclass AND refobjid = current_user::regrole
           AND classid NOT IN ('pg_default_acl'::regclass, 'pg_extension'::regclass)
           AND (classid <> 'pg_namespace'::regclass
                OR NOT EXISTS (SELECT FROM pg_extension WHERE extnamespace = objid) AND identity <> 'public')
           AND NOT EXISTS (SELECT FROM pg_type WHERE classid = 'pg_type'::regclass AND oid = objid AND typtype = 'm')
         ORDER BY array_position('{schema,table}', type))
    LOOP
        EXECUTE statement;
    END LOOP;
END
$do$;
SQL
read_status=0 committing=
pg_restore --no-owner --no-privileges --no-tablespaces --no-publications --no-subscriptions --no-security-labels \
    --verbose --use-list=list --file=- < archive >&3 2> reading || read_status=$?
if [ $read_status = 0 ]; then
    await dumped 300
    if [ "$(cat /alloc/data/dumped)" = ok ]; then
        committing=true
        echo 'COMMIT;' >&3 || :
    fi
fi
# Without a COMMIT, closing the pipe rolls the transaction back.
exec 3>&-
write_status=0
wait $writer || write_status=$?
kill $progress
if [ $write_status != 0 ]; then
    # The connection may have been lost after the commit and before its answer. The server may still be starting again.
    tries=0 fate=aborted
    while [ -n "$committing" ] && ! fate=$(ask "SELECT pg_xact_status('$(cat transaction)')"); do
        tries=$((tries + 1))
        [ $tries -lt 30 ] || end unknown "$(cat writing)"
        sleep 1
    done
    [ "$fate" = committed ] || end failed "target: $(cat writing)"
fi
if [ $read_status != 0 ]; then
    # The most likely reason is that the dump ended too early. Its own message is then the better one.
    sleep 1
    [ ! -e /alloc/data/dumped ] || [ "$(cat /alloc/data/dumped)" = ok ] || end failed "$(cat /alloc/data/dumped)"
    end failed "source: $(grep -E 'error|fatal' reading)"
fi
[ "$(cat /alloc/data/dumped)" = ok ] || end failed "$(cat /alloc/data/dumped)"
# The planner needs statistics. Autovacuum would collect them only later.
psql -Xqc 'SET client_min_messages = error' -c ANALYZE > /dev/null 2>&1 || :
size=$(ask 'SELECT pg_database_size(current_database())') || size=$target_size
end "done" "$(cat tables) $size $source_size"
