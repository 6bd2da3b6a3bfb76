# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tells the user what a module waits for, once some seconds have passed without a message."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import ClassVar

from ansible_collections.infinite.databases.plugins.module_utils._database.checks import natural

FIRST_SECONDS = 3.0
# The time until the next message doubles after each message, because each message is a line of its own.
GROWTH = 2
# On a terminal, each message replaces the one before, so there may be many.
TERMINAL_SECONDS = 1.0
NAMES = 5


class Waiting:
    """Says how messages are shown. A module's process cannot show messages."""

    # Shows a message. An empty message ends a wait. plugin_utils/in_process.py sets it.
    say: ClassVar[Callable[[str], None] | None] = None
    # The width of the terminal on which messages replace each other, or 0 if they do not. The callback plain sets it.
    columns: ClassVar[int] = 0


def some(names: Collection[str]) -> str:
    """Return the names, or the first of them if there are many."""
    rest = len(names) - NAMES
    return ", ".join(sorted(names, key=natural)[:NAMES]) + (f" and {rest} more" if rest > 0 else "")


@contextmanager
def waiting(what: Callable[[], str]) -> Iterator[None]:
    """Show from time to time what the block waits for.

    ``what`` is called for each message; if it returns no text, none is shown.
    """
    say, done, shown = Waiting.say, Event(), False
    if say is None:
        yield
        return

    def tell() -> None:
        nonlocal shown
        silence = FIRST_SECONDS
        while not done.wait(silence):
            if text := what():
                say(f"waiting for {text}")
                shown = True
            silence = TERMINAL_SECONDS if Waiting.columns else silence * GROWTH

    thread = Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        if shown and Waiting.columns:
            say("")
