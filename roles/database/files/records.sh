#!/bin/sh
# Copyright: Infinite Databases contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Writes a line `STANZA STATUS COPY` for each stanza, and `end`. STATUS is 0, 1 if the stanza has no copy of a record, or pgBackRest's error. The
# file is removed after a minute, or when the job is stopped.
set -eu
exec > /alloc/data/records.stdout.0 2> /alloc/data/records.stderr.0
umask 077
cd /alloc/data
trap 'rm -f records.new records' EXIT
trap 'exit 0' INT TERM
mkdir /tmp/copies
cat > /tmp/read.sh <<'READ'
version=${1#pg}
status=0
pgbackrest --ignore-missing repo-get "archive/$1/${version%%-*}-1/record" > "/tmp/copies/$1.copy" 2>&1 || status=$?
printf '%s %s ' "$1" "$status" > "/tmp/copies/$1"
tr '\n' ' ' < "/tmp/copies/$1.copy" >> "/tmp/copies/$1"
echo >> "/tmp/copies/$1"
rm "/tmp/copies/$1.copy"
READ
if ! pgbackrest repo-ls archive > /tmp/stanzas 2> /tmp/problem; then
    cat /tmp/stanzas /tmp/problem >&2
    exit 1
fi
xargs -n 1 -P 8 sh /tmp/read.sh < /tmp/stanzas
find /tmp/copies -type f -exec cat {} + > records.new
echo end >> records.new
mv records.new records
sleep 60 &
wait $!
