#!/bin/sh
# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
#
# Removes everything that identifies this machine, so that many machines can start from its image. Runs as root, as the last step.
# At the next start systemd, Docker and, on EC2, cloud-init make these things again.
set -eu

# Host keys, the keys of users who may log in, and cloud-init's state. A machine without cloud-init needs something else that
# makes host keys.
rm -rf /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub /root/.ssh /home/*/.ssh
if command -v cloud-init >/dev/null; then
    cloud-init clean --logs
fi

# systemd fills in an empty file; without the file it would make a new identity at each start. Machines with the same
# seed would start with the same random numbers.
: > /etc/machine-id
if [ -d /var/lib/dbus ]; then
    ln -sf /etc/machine-id /var/lib/dbus/machine-id
fi
rm -f /var/lib/systemd/random-seed /var/lib/systemd/credential.secret
rm -f /etc/docker/key.json /var/lib/docker/engine-id

# The lists' time is set to long ago, because the lists are gone: Ansible's apt would believe that they are fresh.
apt-get clean
rm -rf /var/lib/apt/lists/* /var/lib/apt/periodic/*
touch --date=@0 /var/lib/apt/lists

# Traces of the build. Open logs stay, but are emptied.
rm -rf /root/.ansible /home/*/.ansible /root/.cache /home/*/.cache
rm -f /root/.*history /home/*/.*history /root/.wget-hsts /home/*/.wget-hsts
# First journald must write to memory again, or it makes a new file at once.
journalctl --relinquish-var
rm -rf /var/log/journal/*
find /var/log -type f \( -name '*.gz' -o -name '*.[0-9]' \) -delete
find /var/log -type f -exec truncate --size=0 {} +
find /tmp /var/tmp -xdev -mindepth 1 -delete
sync
