// Copyright: Infinite Databases contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"use strict";

const fs = require("fs");
const postgres = require("postgres");

async function main() {
  const url = new URL(process.env.DATABASE_URL);
  const ca = url.searchParams.get("sslrootcert");
  // What it does not know in a URL, it sends to PostgreSQL as a setting.
  url.searchParams.delete("sslmode");
  url.searchParams.delete("sslrootcert");
  // "require" encrypts, and trusts anybody.
  const ssl = process.argv[2] === "default" ? "require" : ca === "system" ? "verify-full" : { ca: fs.readFileSync(ca) };
  const sql = postgres(url.href, { ssl, max: 1 });
  try {
    const [row] = await sql`select current_user, version()`;
    console.log(row.current_user, row.version);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

main().catch((error) => {
  console.error(error.message, error.code);
  process.exitCode = 1;
});
