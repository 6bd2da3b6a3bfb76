# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import os
import sys
import threading

import psycopg

try:
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        if "cancel" in sys.argv:
            threading.Timer(0.5, connection.cancel_safe).start()
            connection.execute("select pg_sleep(2)")
        print(*connection.execute("select current_user, version()").fetchone() or ())
except psycopg.Error as error:
    sys.exit(str(error))
