// Copyright: Infinite Databases contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"use strict";

const { Client } = require("pg");

async function main() {
  // "system" would be taken for a file's name; without it, Node's own CAs are trusted.
  const client = new Client({ connectionString: process.env.DATABASE_URL.replace("&sslrootcert=system", "") });
  await client.connect();
  try {
    const { rows } = await client.query("select current_user, version()");
    console.log(rows[0].current_user, rows[0].version);
  } finally {
    await client.end();
  }
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
