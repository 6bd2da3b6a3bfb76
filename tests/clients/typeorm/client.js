// Copyright: Infinite Databases contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"use strict";

require("reflect-metadata");
const { DataSource } = require("typeorm");

async function main() {
  // The URL goes to node-postgres as it is.
  const source = new DataSource({ type: "postgres", url: process.env.DATABASE_URL.replace("&sslrootcert=system", "") });
  await source.initialize();
  try {
    const [row] = await source.query("select current_user, version()");
    console.log(row.current_user, row.version);
  } finally {
    await source.destroy();
  }
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
