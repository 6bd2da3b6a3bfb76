# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a database is described by: which descriptions are good, and what PostgreSQL's server is given for one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from ansible_collections.infinite.databases.plugins.module_utils.database_keys import (
    HOST_NAMES,
    KEYS,
    MEBIBYTE,
    MEMORY,
    check_name,
    quoted,
)
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput

# MiB. An empty database is 40, and its write-ahead log grows to max_wal_size and more between checkpoints.
LEAST_DISK = 1024
# What is shown in a password's place.
MASK = "********"


def known_as(name: Any, place: str) -> str:
    """What messages call a database: its name, where that is one."""
    try:
        return check_name(name)
    except ValueError:
        return place


def check_one(where: str, given: Any, versions: Sequence[str], problems: list[str], disk_quota: bool = False) -> dict[str, Any]:
    """The description with its values in their types; what is wrong with it is added to the problems."""
    if not isinstance(given, Mapping):
        problems.append(f"{where}: {quoted(given)} is not a mapping such as {{name: mydb}}")
        return {}
    where = known_as(given.get("name"), where)
    good: dict[str, Any] = {}
    for key, value in given.items():
        check = KEYS.get(key) if isinstance(key, str) else None
        if check is None:
            problems.append(f"{where}: unknown key {quoted(key)}; known are {', '.join(KEYS)}")
        elif key == "name" or (value is not None and value != ""):
            # An empty answer of a survey means that nothing was said.
            try:
                good[key] = check(value)
            except ValueError as error:
                problems.append(f"{where}.{key}: {error}")
    if "name" not in given:
        problems.append(f"{where}: has no name")
    if "version" in good and good["version"] not in versions:
        problems.append(
            f"{where}.version: {good['version']} is not supported here; supported are {', '.join(versions)}; "
            "others are added to postgres_image_versions, by site.yml"
        )
    if good.get("disk") and not disk_quota:
        problems.append(
            f"{where}.disk: a size cannot be enforced here, since the hosts' kernel has no XFS project quotas; leave disk out"
        )
    elif 0 < good.get("disk", 0) < LEAST_DISK:
        problems.append(f"{where}.disk: {good['disk']} is less than {LEAST_DISK} MiB, with which a database can work")
    if good.get("memory_max", MEMORY(16 * MEBIBYTE)) < good.get("memory", 0):
        problems.append(f"{where}.memory_max: {good['memory_max']} is less than memory, {good['memory']}")
    return good


def check_all(given: Any, versions: Sequence[str], domain: str, disk_quota: bool = False) -> list[dict[str, Any]]:
    """All descriptions, checked; every problem of every one is in the one error."""
    if not isinstance(given, list):
        raise InvalidInput(f"databases: {quoted(given)} is not a list of descriptions such as [{{name: mydb}}]")
    problems: list[str] = []
    checked = [check_one(f"databases[{place}]", one, versions, problems, disk_quota) for place, one in enumerate(given)]
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
    """The descriptions that a run is about: all, or those called ``only`` (`a` or `a,b`), from the list where they are there."""
    if only is None:
        return given
    entries = [one for one in given if isinstance(one, Mapping)] if isinstance(given, list) else []
    names = [one.strip() for one in only.split(",")] if isinstance(only, str) else only if isinstance(only, list) else [only]
    stated = {key: value for key, value in options.items() if value is not None and value != ""}
    return [dict(one) | stated for name in names for one in [one for one in entries if one.get("name") == name] or [{"name": name}]]


def connection_url(record: Mapping[str, Any], domain: str, port: int, ca_cert: str = "", masked: bool = False) -> str:
    """The one string that a database's user needs. https://www.postgresql.org/docs/current/libpq-connect.html

    Without a CA of its own the certificate is a public one. libpq 16 and later knows `system`; without it, libpq looks for a
    file of the user's own.
    """
    options = {"sslmode": "verify-full", "sslrootcert": ca_cert or "system"}
    password = MASK if masked else quote(record["password"], safe="")
    query = urlencode(options, safe="/", quote_via=quote)
    return f"postgresql://{record['user']}:{password}@{record['name']}.{domain}:{port}/{record['name']}?{query}"


def connection_environment(
    record: Mapping[str, Any], domain: str, port: int, ca_cert: str = "", masked: bool = False
) -> dict[str, str]:
    """The URL, and what libpq's own variables say. https://www.postgresql.org/docs/current/libpq-envars.html"""
    return {
        "DATABASE_URL": connection_url(record, domain, port, ca_cert, masked),
        "PGHOST": f"{record['name']}.{domain}",
        "PGPORT": str(port),
        "PGDATABASE": record["name"],
        "PGUSER": record["user"],
        "PGPASSWORD": MASK if masked else record["password"],
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": ca_cert or "system",
        # Whoever has a Kerberos ticket would be refused: libpq asks for GSSAPI encryption first, which Traefik does not know.
        "PGGSSENCMODE": "disable",
    }


# What an extension wants to have been loaded when the server starts, and settings that it needs besides.
PRELOADED = {"pg_cron": "pg_cron", "pg_stat_statements": "pg_stat_statements"}
# PostgreSQL keeps these for its superuser, which is ours.
RESERVED_CONNECTIONS = 3


def limits(spec: Mapping[str, Any]) -> dict[str, str]:
    """A description's limits as PostgreSQL's settings. https://www.postgresql.org/docs/current/runtime-config.html"""
    forms = {
        "statement_timeout": ("statement_timeout", "{}s"),
        "idle_timeout": ("idle_session_timeout", "{}s"),
        "temp_file_limit": ("temp_file_limit", "{}MB"),
    }
    found = {setting: form.format(spec[key]) for key, (setting, form) in forms.items() if key in spec}
    # For these settings 0 would be no session's temporary files at all.
    if spec.get("temp_file_limit") == 0:
        found["temp_file_limit"] = "-1"
    if "connections" in spec:
        found["max_connections"] = str(int(spec["connections"]) + RESERVED_CONNECTIONS)
    return found


def preloads(name: str, extensions: Sequence[str], own: Mapping[str, str]) -> dict[str, str]:
    """The settings without which these extensions cannot be used."""
    wanted = [PRELOADED[one] for one in extensions if one in PRELOADED]
    given = [one.strip() for one in own.get("shared_preload_libraries", "").split(",") if one.strip()]
    libraries = [*given, *(one for one in wanted if one not in given)]
    found = {"shared_preload_libraries": ",".join(libraries)} if libraries else {}
    # Otherwise pg_cron would connect as the job's owner, with a password that it does not have.
    cron = {"cron.database_name": name, "cron.use_background_workers": "on"}
    return found | (cron if "pg_cron" in libraries else {})


def server_settings(memory_max: int, own: Mapping[str, str]) -> dict[str, str]:
    """PostgreSQL's settings for a server that may use so many MiB; ``own`` are the database's, and win."""
    connections = min(500, max(20, memory_max // 5))
    return {
        "shared_buffers": f"{max(16, memory_max // 4)}MB",
        "effective_cache_size": f"{memory_max * 3 // 4}MB",
        "maintenance_work_mem": f"{max(16, memory_max // 16)}MB",
        "work_mem": f"{min(64, max(1, memory_max // 64))}MB",
        "max_connections": str(connections),
        "min_wal_size": "32MB",
        "max_wal_size": f"{min(4096, max(256, memory_max * 2))}MB",
        # Solid-state disks, and servers too small for a compiler to pay.
        "random_page_cost": "1.1",
        "jit": "off",
        # Each saves a process or memory in a server that sits idle.
        "max_logical_replication_workers": "0",
        "huge_pages": "off",
        "log_line_prefix": "%m [%p] %q%u@%d ",
        # A client that vanished without a word gives its connection back after about two minutes.
        "tcp_keepalives_idle": "60",
        "tcp_keepalives_interval": "10",
        "tcp_keepalives_count": "6",
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


def job_variables(
    record: Mapping[str, Any], defaults: Mapping[str, Any], images: Mapping[str, str], domain: str, namespace: str
) -> dict[str, Any]:
    """The variables of postgres.nomad.hcl for a database's record: name, version, volume and what was asked for (spec).

    ``defaults`` has all of memory and memory_max (MiB), cpu (MHz) and allowed_cidrs (networks; none: all clients may come).
    """
    if lacking := [key for key in ("memory", "memory_max", "cpu", "allowed_cidrs") if key not in defaults]:
        raise InvalidInput(f"defaults: {', '.join(lacking)} is not there; give memory, memory_max, cpu and allowed_cidrs")
    spec: Mapping[str, Any] = record["spec"]
    memory = int(spec.get("memory") or defaults["memory"])
    memory_max = max(memory, int(spec.get("memory_max") or defaults["memory_max"]))
    host = f"{record['name']}.{domain}"
    own: Mapping[str, str] = spec.get("settings") or {}
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
        "shm_size": max(64, memory_max // 4) * MEBIBYTE,
        "settings": server_settings(
            memory_max, limits(spec) | dict(own) | preloads(record["name"], spec.get("extensions") or [], own)
        ),
        "allowed_cidrs": spec.get("allowed_cidrs") or defaults["allowed_cidrs"],
        # Only what a restart is due for anyway: Nomad restarts a job whose meta has changed.
        "meta": {
            "infinite_host": host,
            "infinite_version": record["version"],
            "infinite_volume": record["volume"],
            # For the host's disk guard, which sees it in the container's environment.
            **({"infinite_disk": str(spec["disk"])} if spec.get("disk") else {}),
        },
    }
