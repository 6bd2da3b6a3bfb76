#!/bin/sh
# Copyright: Infinite Databases contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Makes the roles, the passwords, the database and its extensions as they should be. It runs at each start, and whenever the variable from
# which secrets/wanted is made is written.
set -eu
tries=0
# `pg_ctl start` waits for the same line. This takes a third of the time of a query to the server, which is busy starting.
until grep -qs '^ready' "$PGDATA/postmaster.pid"; do
    [ "${1:-}" = wait ] && [ $tries -lt 6000 ] || exit 1
    tries=$((tries + 1))
    sleep 0.02
done
# These options hold whatever the database's settings are. Statements that hold a verifier stay out of the log. A database that the host's
# disk guard made read-only can be changed here. The search path protects the superuser: the owner may have made a format() that fits
# better, and the superuser would call it.
export PGOPTIONS="-c log_statement=none -c log_min_duration_statement=-1 -c log_min_duration_sample=-1
    -c log_min_error_statement=panic -c log_transaction_sample_rate=0 -c client_min_messages=warning
    -c default_transaction_read_only=off -c search_path=pg_catalog -c statement_timeout=0"
# ready.py recognizes by this name that extensions are being made.
export PGAPPNAME=infinite.grant
order=$(sed -n 's/^order \([^ ]* [^ ]*\) .*/\1/p' /secrets/wanted)
if [ -n "$order" ] && ! grep -qs "^$order " /volume/order; then
    # A commit, and then a new file of the write-ahead log: whoever restores to this moment or before finds where to stop.
    reach=$(psql -X -q -A -t -d postgres -c 'SELECT pg_current_xact_id()' -c 'SELECT pg_current_wal_insert_lsn()' -c 'SELECT pg_switch_wal()' |
        sed -n 2p)
    echo "$order $reach" > /volume/order.new
    mv /volume/order.new /volume/order
fi
psql -X -q -v ON_ERROR_STOP=1 -v name="$DATABASE" -d postgres <<'SQL'
CREATE TEMP TABLE wanted (kind text, name text, login text, verifier text);
\copy wanted FROM '/secrets/wanted' (DELIMITER ' ')
-- A role has the rights; its second login acts as the role.
SELECT format('CREATE ROLE %I', missing) FROM
    (SELECT name FROM wanted WHERE kind = 'login' UNION SELECT login FROM wanted WHERE kind = 'login') AS names (missing)
 WHERE missing NOT IN (SELECT rolname FROM pg_roles) \gexec
-- The login is a member of the role, to act as the role. The role is a member of the login, to see and cancel the login's sessions.
-- PostgreSQL follows such a circle without harm (roles_is_member_of in acl.c), but GRANT refuses to make one. So both are granted to
-- postgres, and the rows are then changed. pg_upgrade repeats the GRANTs and fails there: delete these rows before an upgrade; the next
-- start makes them again.
BEGIN;
SET LOCAL allow_system_table_mods = on;
CREATE TEMP TABLE lacking ON COMMIT DROP AS
    SELECT role, holder FROM wanted, LATERAL (VALUES (name, login), (login, name)) AS pairs (role, holder)
     WHERE kind = 'login' AND login <> name AND NOT pg_has_role(holder, role, 'USAGE');
SELECT format('GRANT %I TO postgres', role) FROM lacking \gexec
UPDATE pg_auth_members SET member = quote_ident(holder)::regrole FROM lacking
 WHERE roleid = quote_ident(role)::regrole AND member = 'postgres'::regrole;
COMMIT;
SELECT format('ALTER ROLE %I SET role TO %I', login, name) FROM wanted JOIN pg_roles ON rolname = login
 WHERE kind = 'login' AND login <> name AND 'role=' || name <> ALL (coalesce(rolconfig, '{}')) \gexec
SELECT format('ALTER ROLE %I LOGIN CONNECTION LIMIT -1 PASSWORD %L', login, verifier) FROM wanted JOIN pg_authid ON rolname = login
 WHERE kind = 'login' AND (NOT rolcanlogin OR rolconnlimit = 0 OR rolpassword IS DISTINCT FROM verifier) \gexec
-- The disk guard may have taken LOGIN from a role whose password has ended, but which still has jobs of pg_cron.
SELECT DISTINCT format('ALTER ROLE %I LOGIN', name) FROM wanted JOIN pg_roles ON rolname = name
 WHERE kind = 'login' AND NOT rolcanlogin \gexec
-- Logins that are no longer wanted lose their password, and their sessions end. All logins are the platform's, because users' roles cannot
-- create any. Without a password nobody can log in. LOGIN stays, because pg_cron's jobs for the role would end without it.
CREATE TEMP TABLE ended AS SELECT rolname FROM pg_authid
 WHERE rolpassword IS NOT NULL AND rolname <> 'postgres' AND rolname NOT IN (SELECT login FROM wanted WHERE kind = 'login');
SELECT format('ALTER ROLE %I PASSWORD NULL', rolname) FROM ended \gexec
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity JOIN ended ON usename = rolname
 WHERE backend_type = 'client backend' \g /dev/null
SELECT format('CREATE DATABASE %I OWNER %I', :'name', :'name')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
-- The database's owner may have locked itself out.
SELECT format('ALTER DATABASE %I CONNECTION LIMIT -1 ALLOW_CONNECTIONS true', datname) FROM pg_database
 WHERE datname = :'name' AND (datconnlimit = 0 OR NOT datallowconn) \gexec
-- One transaction, because a database that already has rights is skipped the next time.
BEGIN;
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', datname),
    format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO %I', datname, rw), format('GRANT CONNECT ON DATABASE %I TO %I', datname, ro)
  FROM pg_database, (SELECT left(:'name', 60) || '_rw', left(:'name', 60) || '_ro') AS roles (rw, ro)
 WHERE datname = :'name' AND datacl IS NULL \gexec
COMMIT;
SELECT format('GRANT CONNECT ON DATABASE %I TO %I', :'name', :'name')
 WHERE NOT has_database_privilege(:'name', :'name', 'CONNECT') \gexec
SELECT coalesce(string_agg(name, ' '), '') AS extensions FROM wanted WHERE kind = 'extension' \gset
\connect :"name"
-- How often the kernel has ended a process of this server for lack of memory. The kernel counts this in memory.events (cgroup v2) or in
-- memory.oom_control (v1), which only a superuser may read by SQL. In pg_catalog no dump has the function, and no owner can change it.
CREATE OR REPLACE FUNCTION pg_catalog.infinite_out_of_memory() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT substring(coalesce(pg_read_file('/sys/fs/cgroup/memory.events', 0, 1000, true),
        pg_read_file('/sys/fs/cgroup/memory/memory.oom_control', 0, 1000, true)) FROM 'oom_kill (\d+)')::int
$$;
-- The other roles may use the owner's tables from the beginning, and tables that the owner makes later.
BEGIN;
SELECT CASE WHEN given LIKE '%SCHEMAS%' THEN format('GRANT USAGE ON SCHEMA public TO %I', role) END,
    format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT %s TO %I', :'name', given, role) FROM
    (VALUES ('_rw', 'USAGE ON SCHEMAS'), ('_ro', 'USAGE ON SCHEMAS'), ('_rw', 'SELECT, INSERT, UPDATE, DELETE ON TABLES'),
            ('_ro', 'SELECT ON TABLES'), ('_rw', 'USAGE, SELECT, UPDATE ON SEQUENCES'), ('_ro', 'SELECT ON SEQUENCES'))
        AS rights (suffix, given), LATERAL (SELECT left(:'name', 60) || suffix) AS roles (role)
 WHERE NOT EXISTS (SELECT FROM pg_default_acl) \gexec
COMMIT;
CREATE TEMP TABLE lacking AS SELECT name FROM unnest(string_to_array(:'extensions', ' ')) AS extension (name)
 WHERE name NOT IN (SELECT extname FROM pg_extension);
-- The schema public as initdb makes it. The owner may have dropped it.
SELECT 'CREATE SCHEMA public AUTHORIZATION pg_database_owner', 'GRANT USAGE ON SCHEMA public TO PUBLIC'
 WHERE EXISTS (SELECT FROM lacking) AND to_regnamespace('public') IS NULL \gexec
-- If an extension cannot be made, the others are made all the same. The server's log has the reason.
\set ON_ERROR_STOP off
SELECT 'SET search_path = public', format('CREATE EXTENSION IF NOT EXISTS %I CASCADE', name), 'SET search_path = pg_catalog'
  FROM lacking \gexec
-- The superuser made the schema cron, so the owner needs this right to use it.
SELECT format('GRANT USAGE ON SCHEMA cron TO %I', :'name') FROM pg_namespace
 WHERE nspname = 'cron' AND NOT has_schema_privilege(:'name', oid, 'USAGE') \gexec
SQL
# The mark by which a node reports that the server is ready, for machines that allowed_cidrs leave out (node_witness.py).
: > /alloc/data/ready
