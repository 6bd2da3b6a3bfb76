# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The errors that a user sees. Each is one line that says what failed, where, and what to do about it."""

from __future__ import annotations

from typing import Any


class InfiniteError(Exception):
    """The base class of all expected failures. ``result`` is added to the module's failed result."""

    def __init__(self, message: str, **result: Any) -> None:
        super().__init__(" ".join(message.split()))
        self.result = result


class InvalidInput(InfiniteError):
    """The parameters contradict each other or name something that cannot be used."""


class BatchFailed(InfiniteError):
    """Some items of a list failed; the others were done."""


class JobFailed(InfiniteError):
    """A job was registered but did not become what was asked for."""


class NotReady(InfiniteError):
    """What was waited for is not there in time."""


class NomadError(InfiniteError):
    """Nomad answered with an error that none of the classes below describes."""

    def __init__(self, message: str, status: int = 0, uncertain: bool = False, **result: Any) -> None:
        super().__init__(message, **result)
        self.status = status
        # Whether the request may have been carried out all the same: its answer, or the answer to an earlier try, was lost.
        self.uncertain = uncertain


class NomadUnreachable(NomadError):
    """Nothing answers at the address, or the answer does not come in time."""


class NomadTimeout(NomadUnreachable):
    """No answer came in time."""


class NomadTlsError(NomadError):
    """Something answers, but it could not prove that it is our Nomad (or we could not prove who we are)."""


class NomadDenied(NomadError):
    """The token is missing, unknown, expired or may not do this."""


class NomadNotFound(NomadError):
    """The object does not exist (or the token may not see it)."""


class NomadConflict(NomadError):
    """Somebody else changed the object since it was read (check-and-set)."""


class NomadNoLeader(NomadError):
    """The servers answer but have no leader, so nothing can be read or written."""
