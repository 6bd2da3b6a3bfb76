#!/bin/sh
# Copyright: Infinite Databases contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Loads a dump from the standard input by restore.sh, whose lines go to the standard output. The first line of the input is the password file's.
set -eu
exec 3<&0
umask 077
# Until the first line is there, nothing is done. The playbook tries again if Nomad did not run this.
echo ready
IFS= read -r line <&3
printf '%s\n' "$line" > /tmp/pass
# When a command ends, Nomad throws away what it has not sent yet. The playbook ends the job when it has the last line.
finish() {
    exec sleep infinity
}
refuse() {
    printf 'refused %s: %s\n' "$1" "$(tr '\n' ' ' < /tmp/problem)"
    finish
}
# The dump begins with its table of contents. More and more of the dump is kept, until pg_restore can read all of the table.
piece=65536 have=0
: > /tmp/head
while :; do
    head -c "$piece" <&3 >> /tmp/head
    had=$have have=$(wc -c < /tmp/head)
    if pg_restore --list /tmp/head > /tmp/table 2> /tmp/problem; then
        break
    fi
    [ $((have - had)) = "$piece" ] || refuse "the dump is not complete, or pg_restore $PG_VERSION does not know its format"
    [ "$have" -lt 50000000 ] || refuse "the dump's table of contents is larger than 50 MB"
    piece=$have
done
# What restore.sh learns of a source that is a server.
{
    sed -n 's/^; *Dumped from database version: \([0-9]*\).*/\1 0/p' /tmp/table
    sed -nE 's/^[0-9]+; [0-9]+ [0-9]+ EXTENSION - ([^ ]+) .*/\1/p' /tmp/table
} | tr '\n' ' ' > /alloc/data/facts
printf '\n-\n' >> /alloc/data/facts
mkfifo /alloc/data/pipe
{
    if cat /tmp/head - > /alloc/data/pipe; then
        echo ok > /alloc/data/dumped.new
        mv /alloc/data/dumped.new /alloc/data/dumped
    fi
} <&3 > /dev/null 2>&1 &
STREAM=yes sh /local/restore.sh < /dev/null 3<&- || :
finish
