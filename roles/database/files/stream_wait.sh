#!/bin/sh
# Copyright: Infinite Databases contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Lives, and with it the container, as long as the playbook makes /tmp/alive again and again. A script that the playbook runs here does not
# notice by itself that the playbook has gone: Nomad keeps its input open then.
set -eu
: > /tmp/alive
while rm /tmp/alive 2> /dev/null; do
    sleep 60
done
