// Copyright: Infinite Databases contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"use strict";

const { drizzle } = require("drizzle-orm/node-postgres");
const { sql } = require("drizzle-orm");

async function main() {
  const db = drizzle(process.env.DATABASE_URL.replace("&sslrootcert=system", ""));
  try {
    const { rows } = await db.execute(sql`select current_user, version()`);
    console.log(rows[0].current_user, rows[0].version);
  } finally {
    await db.$client.end();
  }
}

main().catch((error) => {
  console.error(error.message, error.cause ? error.cause.message : "");
  process.exitCode = 1;
});
