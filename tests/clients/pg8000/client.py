# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import os
import ssl
import sys
from urllib.parse import parse_qs, unquote, urlsplit

import pg8000.dbapi

url = urlsplit(os.environ["DATABASE_URL"])
ca = parse_qs(url.query)["sslrootcert"][0]
# Without a context, pg8000 encrypts and trusts anybody.
context = None if "default" in sys.argv else ssl.create_default_context(cafile=None if ca == "system" else ca)
try:
    connection = pg8000.dbapi.connect(
        user=url.username,
        password=unquote(url.password or ""),
        host=url.hostname,
        port=url.port,
        database=url.path[1:],
        ssl_context=context,
    )
    cursor = connection.cursor()
    cursor.execute("select current_user, version()")
    print(*cursor.fetchone())
except (OSError, pg8000.dbapi.Error) as error:
    sys.exit(f"{error} {error.__cause__ or ''}")
