# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import os
import sys

import sqlalchemy

# SQLAlchemy's URLs name the driver.
url = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://", 1)
try:
    with sqlalchemy.create_engine(url).connect() as connection:
        print(*connection.execute(sqlalchemy.text("select current_user, version()")).one())
except sqlalchemy.exc.SQLAlchemyError as error:
    sys.exit(str(error))
