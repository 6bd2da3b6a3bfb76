# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import sys

import dj_database_url
import django
from django.conf import settings
from django.core.management import execute_from_command_line
from django.db import DatabaseError, connection

# The URL is in DATABASE_URL; its parameters become OPTIONS.
database = dj_database_url.config()
# For `manage.py test --keepdb`: the owner may make no databases, so the tests run in this one.
database["TEST"] = {"NAME": database["NAME"]}
settings.configure(DATABASES={"default": database}, INSTALLED_APPS=["app"], DEFAULT_AUTO_FIELD="django.db.models.AutoField")
django.setup()

if len(sys.argv) > 1:
    execute_from_command_line(["manage.py", *sys.argv[1:]])
    sys.exit()
try:
    with connection.cursor() as cursor:
        cursor.execute("select current_user, version()")
        print(*cursor.fetchone())
except DatabaseError as error:
    sys.exit(str(error))
