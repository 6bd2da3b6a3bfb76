# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The examples in the documentation of the modules for AWS work; those that read find what those that write made."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.support.examples import examples, modules

BEFORE = {"route53_record_info": ["route53_record"]}


@pytest.mark.parametrize("module", modules(aws=True))
def test_examples(zone: str, playbook: Callable[..., CompletedProcess[str]], module: str, tmp_path: Path) -> None:
    names = {"Z0123456789ABCDEFGHIJ": zone}
    tasks = [task for one in [*BEFORE.get(module, []), module] for task in examples(one, names)]
    head = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
    path = tmp_path / "playbook.yml"
    path.write_text(json.dumps([head]))
    done = playbook("-i", "localhost,", str(path))
    assert f"ok={len(tasks)} " in done.stdout
    assert "skipped=0" in done.stdout
