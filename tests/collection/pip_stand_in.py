# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What ansible-test takes for get-pip.py where that cannot be downloaded: Python's own pip installs the one that is asked for."""

from __future__ import annotations

import subprocess
import sys

FOREIGN = ("--no-setuptools", "--no-wheel")

# In a process of its own: ensurepip takes pip's settings away from the process that it runs in.
subprocess.run([sys.executable, "-m", "ensurepip"], check=True, stdout=subprocess.DEVNULL)
arguments = [argument for argument in sys.argv[1:] if argument not in FOREIGN]
sys.exit(subprocess.run([sys.executable, "-m", "pip", "install", *arguments], check=False).returncode)
