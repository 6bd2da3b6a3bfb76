# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import sys
from typing import Any

import asyncpg


async def main(url: str) -> None:
    # Two parameters of libpq that asyncpg takes as arguments instead.
    direct, system = "&sslnegotiation=direct", "sslmode=verify-full&sslrootcert=system"
    options: dict[str, Any] = {"direct_tls": direct in url}
    if system in url:
        options["ssl"] = ssl.create_default_context()
    connection = await asyncpg.connect(url.replace(direct, "").replace(system, ""), **options)
    if "cancel" in sys.argv:
        # The next query has to wait for the end of this one.
        with contextlib.suppress(TimeoutError):
            await connection.execute("select pg_sleep(2)", timeout=0.5)
        await connection.execute("select 1")
        sys.exit("canceled")
    print(*await connection.fetchrow("select current_user, version()"))
    await connection.close()


try:
    asyncio.run(main(os.environ["DATABASE_URL"]))
except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
