# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An environment on a node of its own, which the tests may break; it is made before and removed after.

INFINITE_FAULTS_KEEP=1 leaves it there, and takes it as it is the next time.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.environments import HERE
from tests.support.faults import KEEP, Faults, connected, playbook


@pytest.fixture(scope="session")
def faults() -> Iterator[Faults]:
    if not (KEEP and HERE.is_there()):
        playbook("playbooks/local_down.yml")
        playbook("playbooks/local_up.yml", "site.yml")
    user = connected()
    user.erase_all()
    yield user
    if KEEP:
        user.erase_all()
    else:
        playbook("playbooks/local_down.yml")
