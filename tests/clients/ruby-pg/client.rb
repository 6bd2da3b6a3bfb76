# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# frozen_string_literal: true

require "pg"

begin
  connection = PG.connect(ENV.fetch("DATABASE_URL"))
  if ARGV.any?
    Thread.new do
      sleep 0.5
      connection.cancel
    end
    connection.async_exec("select pg_sleep(2)")
  end
  puts connection.exec("select current_user, version()").values.first.join(" ")
rescue PG::Error => e
  abort e.message
end
