// Copyright: Infinite Databases contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"use strict";

const { Sequelize } = require("sequelize");

async function main() {
  const url = process.env.DATABASE_URL.replace("&sslrootcert=system", "");
  const sequelize = new Sequelize(url, { logging: false });
  try {
    const [[row]] = await sequelize.query("select current_user, version()");
    console.log(row.current_user, row.version);
  } finally {
    await sequelize.close();
  }
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
