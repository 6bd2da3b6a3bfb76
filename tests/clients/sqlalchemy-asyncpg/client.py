# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import asyncio
import os
import ssl
import sys
from urllib.parse import parse_qs, urlsplit

import sqlalchemy
from sqlalchemy.ext.asyncio import create_async_engine


async def main() -> None:
    # SQLAlchemy hands the URL's parameters to asyncpg.connect(), which has others: so they go, and `ssl` is given instead.
    url = urlsplit(os.environ["DATABASE_URL"])
    ca = parse_qs(url.query)["sslrootcert"][0]
    context = ssl.create_default_context(cafile=None if ca == "system" else ca)
    engine = create_async_engine(
        url._replace(scheme="postgresql+asyncpg", query="").geturl(),
        connect_args={"ssl": context},
    )
    async with engine.connect() as connection:
        print(*(await connection.execute(sqlalchemy.text("select current_user, version()"))).one())
    await engine.dispose()


try:
    asyncio.run(main())
# asyncpg's own errors are not SQLAlchemy's while it connects.
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
