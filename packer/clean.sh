#!/bin/sh
# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
#
# Removes what makes this machine a particular one, so that an image of it can become many. Runs as root, last. What is
# removed comes back at the next start: from systemd, Docker and, on EC2, cloud-init.
set -eu

# Host keys, whoever may log in, and what cloud-init did for this machine. A machine without cloud-init needs something else that
# makes host keys.
rm -rf /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub /root/.ssh /home/*/.ssh
if command -v cloud-init >/dev/null; then
    cloud-init clean --logs
fi

# An empty file is what systemd fills in; without the file it would make an identity for each start. Images with the same
# seed would start with the same random numbers.
: > /etc/machine-id
if [ -d /var/lib/dbus ]; then
    ln -sf /etc/machine-id /var/lib/dbus/machine-id
fi
rm -f /var/lib/systemd/random-seed /var/lib/systemd/credential.secret
rm -f /etc/docker/key.json /var/lib/docker/engine-id

# Lists of long ago, for there are none: Ansible's apt would believe them to be fresh.
apt-get clean
rm -rf /var/lib/apt/lists/* /var/lib/apt/periodic/*
touch --date=@0 /var/lib/apt/lists

# Traces of the build. Logs that are open stay, empty.
rm -rf /root/.ansible /home/*/.ansible /root/.cache /home/*/.cache
rm -f /root/.*history /home/*/.*history /root/.wget-hsts /home/*/.wget-hsts
# To its place in memory first, or journald writes a new file at once.
journalctl --relinquish-var
rm -rf /var/log/journal/*
find /var/log -type f \( -name '*.gz' -o -name '*.[0-9]' \) -delete
find /var/log -type f -exec truncate --size=0 {} +
find /tmp /var/tmp -xdev -mindepth 1 -delete
sync
