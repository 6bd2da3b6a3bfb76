# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks descriptions of databases, and derives from them the URLs, PostgreSQL's settings and the variables of the job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from ansible_collections.infinite.databases.plugins.module_utils._database.checks import (
    HOST_NAMES,
    check_name,
    quoted,
)
from ansible_collections.infinite.databases.plugins.module_utils._database.keys import KEYS, LEAST_MEMORY_MAX, MEMORY
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput

# MiB. An empty database takes 40 MiB, and its write-ahead log grows to max_wal_size and more between checkpoints.
LEAST_DISK = 1024
# This text is shown in place of a password.
MASK = "********"


def known_as(name: Any, place: str) -> str:
    """Return what messages call a database: its name if the name is valid, or else its place in the list."""
    try:
        return check_name(name)
    except ValueError:
        return place


def check_one(
    where: str, given: Any, versions: Sequence[str], problems: list[str], disk_quota: bool = False, backups: bool = True
) -> dict[str, Any]:
    """Return the description with each value in its type. Problems of the description are added to ``problems``."""
    if not isinstance(given, Mapping):
        problems.append(f"{where}: {quoted(given)} is not a mapping such as {{name: mydb}}")
        return {}
    where = known_as(given.get("name"), where)
    good: dict[str, Any] = {}
    for key, value in given.items():
        known = KEYS.get(key) if isinstance(key, str) else None
        if known is None:
            problems.append(f"{where}: unknown key {quoted(key)}; known are {', '.join(KEYS)}")
        elif key == "name" or (value is not None and value != ""):
            # An empty value, such as an empty answer of a survey, counts as not given.
            try:
                good[key] = known.check(value)
            except ValueError as error:
                problems.append(f"{where}.{key}: {error}")
    if "name" not in given:
        problems.append(f"{where}: has no name")
    if "version" in good and good["version"] not in versions:
        problems.append(
            f"{where}.version: {good['version']} is not supported here; supported are {', '.join(versions)}; "
            "to support another one, add it to postgres_image_versions and run site.yml"
        )
    if good.get("disk") and not disk_quota:
        problems.append(
            f"{where}.disk: a size cannot be enforced here, because the hosts' kernel has no XFS project quotas; leave disk out"
        )
    elif 0 < good.get("disk", 0) < LEAST_DISK:
        problems.append(f"{where}.disk: {good['disk']} is less than {LEAST_DISK} MiB, the least that a database needs")
    if good.get("backup") and not backups:
        problems.append(f"{where}.backup: there is no repository here; set backup_s3_bucket or backup_directory, and run site.yml")
    if good.get("memory_max", MEMORY.high) < good.get("memory", 0):
        problems.append(f"{where}.memory_max: {good['memory_max']} is less than memory, {good['memory']}")
    return good


def check_all(
    given: Any, versions: Sequence[str], domain: str, disk_quota: bool = False, backups: bool = True
) -> list[dict[str, Any]]:
    """Check all descriptions. One error has all problems of all descriptions."""
    if not isinstance(given, list):
        raise InvalidInput(f"databases: {quoted(given)} is not a list of descriptions such as [{{name: mydb}}]")
    problems: list[str] = []
    checked = [check_one(f"databases[{place}]", one, versions, problems, disk_quota, backups) for place, one in enumerate(given)]
    places: dict[str, int] = {}
    for place, one in enumerate(checked):
        name = one.get("name")
        if name is None:
            continue
        if name in places:
            problems.append(f"databases[{place}].name: {name!r} is also the name of databases[{places[name]}]")
        places.setdefault(name, place)
        if name in HOST_NAMES:
            problems.append(f"databases[{place}].name: {name}.{domain} is {HOST_NAMES[name]}; choose another name")
        if len(f"{name}.{domain}") > 253:
            problems.append(f"databases[{place}].name: {name!r} is too long for a host name below {domain}")
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise InvalidInput(f"{count}, nothing was changed: {'; '.join(problems)}", problems=problems)
    return checked


def select(given: Any, only: Any, options: Mapping[str, Any]) -> Any:
    """Return the descriptions that a run is about: all of ``given``, or those named in ``only`` (`a` or `a,b`).

    A name that is not in ``given`` gets a description with nothing but its name. ``options`` are added to each description.
    """
    if only is None:
        return given
    entries = [one for one in given if isinstance(one, Mapping)] if isinstance(given, list) else []
    names = [one.strip() for one in only.split(",")] if isinstance(only, str) else only if isinstance(only, list) else [only]
    stated = {key: value for key, value in options.items() if value is not None and value != ""}
    return [dict(one) | stated for name in names for one in [one for one in entries if one.get("name") == name] or [{"name": name}]]


def connection_url(record: Mapping[str, Any], domain: str, port: int, ca_cert: str = "", masked: bool = False) -> str:
    """Return the one string that a database's user needs. https://www.postgresql.org/docs/current/libpq-connect.html

    Without ``ca_cert``, the certificate is a public one. libpq 16 and later then trusts the system's CAs (`system`). Without
    `sslrootcert`, libpq would look for a file in the user's home directory.
    """
    options = {"sslmode": "verify-full", "sslrootcert": ca_cert or "system"}
    password = MASK if masked else quote(record["password"], safe="")
    query = urlencode(options, safe="/", quote_via=quote)
    return f"postgresql://{record['user']}:{password}@{record['name']}.{domain}:{port}/{record['name']}?{query}"


def jdbc_url(record: Mapping[str, Any], domain: str, port: int, ca_cert: str = "", masked: bool = False) -> str:
    """Return the URL for pgjdbc, which would take `system` for a file's name. https://jdbc.postgresql.org/documentation/use/"""
    trust = {"sslrootcert": ca_cert} if ca_cert else {"sslfactory": "org.postgresql.ssl.DefaultJavaSSLFactory"}
    password = MASK if masked else record["password"]
    query = urlencode({"user": record["user"], "password": password, "sslmode": "verify-full"} | trust, safe="/*", quote_via=quote)
    return f"jdbc:postgresql://{record['name']}.{domain}:{port}/{record['name']}?{query}"


def connection_environment(
    record: Mapping[str, Any], domain: str, port: int, ca_cert: str = "", masked: bool = False
) -> dict[str, str]:
    """Return the URL, Java's URL, and libpq's own variables. https://www.postgresql.org/docs/current/libpq-envars.html"""
    return {
        "DATABASE_URL": connection_url(record, domain, port, ca_cert, masked),
        "JDBC_DATABASE_URL": jdbc_url(record, domain, port, ca_cert, masked),
        "PGHOST": f"{record['name']}.{domain}",
        "PGPORT": str(port),
        "PGDATABASE": record["name"],
        "PGUSER": record["user"],
        "PGPASSWORD": MASK if masked else record["password"],
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": ca_cert or "system",
        # If the user has a Kerberos ticket, libpq asks for GSSAPI encryption first. Traefik does not know that request.
        "PGGSSENCMODE": "disable",
    }


# The library that an extension needs when the server starts.
PRELOADED = {"pg_cron": "pg_cron", "pg_stat_statements": "pg_stat_statements"}
# PostgreSQL keeps these connections for its superuser, which only the platform uses.
RESERVED_CONNECTIONS = 3


def limits(spec: Mapping[str, Any]) -> dict[str, str]:
    """Return a description's limits as PostgreSQL's settings. https://www.postgresql.org/docs/current/runtime-config.html"""
    found = {key.setting[0]: key.setting[1].format(spec[name]) for name, key in KEYS.items() if key.setting and name in spec}
    # PostgreSQL would take 0 as "no temporary files at all"; -1 means no limit.
    if spec.get("temp_file_limit") == 0:
        found["temp_file_limit"] = "-1"
    if "connections" in spec:
        found["max_connections"] = str(int(spec["connections"]) + RESERVED_CONNECTIONS)
    return found


def preloads(name: str, extensions: Sequence[str], own: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that these extensions need."""
    wanted = [PRELOADED[one] for one in extensions if one in PRELOADED]
    given = [one.strip() for one in own.get("shared_preload_libraries", "").split(",") if one.strip()]
    libraries = [*given, *(one for one in wanted if one not in given)]
    found = {"shared_preload_libraries": ",".join(libraries)} if libraries else {}
    # Without background workers, pg_cron would connect as the owner of the scheduled job, but it does not have the password.
    cron = {"cron.database_name": name, "cron.use_background_workers": "on"}
    return found | (cron if "pg_cron" in libraries else {})


def server_settings(memory_max: int, own: Mapping[str, str]) -> dict[str, str]:
    """Return PostgreSQL's settings for a server that may use ``memory_max`` MiB. ``own``, the database's settings, win."""
    connections = min(500, max(10, memory_max // 5))
    return {
        "shared_buffers": f"{max(16, memory_max // 4)}MB",
        "effective_cache_size": f"{memory_max * 3 // 4}MB",
        "maintenance_work_mem": f"{max(16, memory_max // 16)}MB",
        "work_mem": f"{min(64, max(1, memory_max // 64))}MB",
        "max_connections": str(connections),
        "min_wal_size": "32MB",
        "max_wal_size": f"{min(4096, max(256, memory_max * 2))}MB",
        # The disks are solid-state, and the servers are so small that a just-in-time compiler does not pay off.
        "random_page_cost": "1.1",
        "jit": "off",
        # Each of these settings saves a process or memory in an idle server.
        "max_logical_replication_workers": "0",
        "huge_pages": "off",
        "log_line_prefix": "%m [%p] %q%u@%d ",
        # The connection of a client that vanished without closing it is closed after about two minutes.
        "tcp_keepalives_idle": "60",
        "tcp_keepalives_interval": "10",
        "tcp_keepalives_count": "6",
        # If a client has closed its connection, its running statement is ended.
        "client_connection_check_interval": "2s",
        "timezone": "UTC",
        **own,
        "listen_addresses": "*",
        "port": "5432",
        "hba_file": "/tmp/pg_hba.conf",
        "unix_socket_directories": "/tmp",
        "password_encryption": "scram-sha-256",
        # start.sh takes the log from the server's standard error.
        "log_destination": "stderr",
        "logging_collector": "off",
    }


def backup_settings() -> dict[str, str]:
    """Return the settings of a database that is backed up. start.sh writes pgbackrest.sh; the backup agent uses the socket."""
    return {
        "archive_mode": "on",
        "archive_command": "sh /tmp/pgbackrest.sh %f",
        # A file of the write-ahead log is archived once it is full, or after this time if anything was written.
        "archive_timeout": "60",
        "unix_socket_directories": "/tmp,/volume/run",
    }


def is_backed_up(spec: Mapping[str, Any], defaults: Mapping[str, Any]) -> bool:
    return bool(spec.get("backup", True) and defaults.get("backup"))


def memory_of(spec: Mapping[str, Any], defaults: Mapping[str, Any]) -> tuple[int, int]:
    """Return the reserved memory and the most memory, in MiB."""
    memory = int(spec.get("memory") or defaults["memory"])
    return memory, max(LEAST_MEMORY_MAX, memory, int(spec.get("memory_max") or defaults["memory_max"]))


def settings_of(name: str, spec: Mapping[str, Any], memory_max: int) -> dict[str, str]:
    """Return all of PostgreSQL's settings for a database's description."""
    own: Mapping[str, str] = spec.get("settings") or {}
    return server_settings(memory_max, limits(spec) | dict(own) | preloads(name, spec.get("extensions") or [], own))


def job_variables(
    record: Mapping[str, Any], defaults: Mapping[str, Any], images: Mapping[str, str], domain: str, namespace: str
) -> dict[str, Any]:
    """Return the variables of postgres.nomad.hcl for a database's record, from its name, version, volume and description (spec).

    ``defaults`` has memory and memory_max (MiB), cpu (MHz), allowed_cidrs (networks; an empty list lets all clients in), and
    backup (whether the environment has backups).
    """
    if lacking := [key for key in ("memory", "memory_max", "cpu", "allowed_cidrs") if key not in defaults]:
        raise InvalidInput(f"defaults: {', '.join(lacking)} is missing; give memory, memory_max, cpu and allowed_cidrs")
    spec: Mapping[str, Any] = record["spec"]
    memory, memory_max = memory_of(spec, defaults)
    host = f"{record['name']}.{domain}"
    return {
        "name": record["name"],
        "host": host,
        "namespace": namespace,
        "image": images[record["version"]],
        "volume": record["volume"],
        "version": record["version"],
        "cpu": int(spec.get("cpu") or defaults["cpu"]),
        "memory": memory,
        "memory_max": memory_max,
        "settings": settings_of(record["name"], spec, memory_max) | (backup_settings() if is_backed_up(spec, defaults) else {}),
        "allowed_cidrs": spec.get("allowed_cidrs") or defaults["allowed_cidrs"],
        # Nomad restarts a job whose meta has changed. So the meta has only values whose change needs a restart anyway.
        "meta": {
            "infinite_host": host,
            "infinite_version": record["version"],
            "infinite_volume": record["volume"],
            # The host's disk guard reads this value in the container's environment.
            **({"infinite_disk": str(spec["disk"])} if spec.get("disk") else {}),
        },
    }
