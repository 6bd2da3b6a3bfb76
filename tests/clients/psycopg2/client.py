# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import os
import sys
import threading

import psycopg2

try:
    connection = psycopg2.connect(os.environ["DATABASE_URL"])
    cursor = connection.cursor()
    if "cancel" in sys.argv:
        threading.Timer(0.5, connection.cancel).start()
        cursor.execute("select pg_sleep(2)")
    cursor.execute("select current_user, version()")
    print(*cursor.fetchone())
except psycopg2.Error as error:
    sys.exit(str(error))
