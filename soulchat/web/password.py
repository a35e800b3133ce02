"""The password of a page or server, and waits that grow with each wrong one."""

import secrets
import time
from collections.abc import Callable

from starlette.exceptions import HTTPException

LONGEST_WAIT = 300.0  # seconds
FORGOTTEN_AFTER = 3_600.0  # seconds after the last wait
ADDRESSES = 10_000


class Door:
    """Compares passwords. After the n-th wrong one in a row an address waits 2^(n-1) seconds, five minutes at most.

    To be called from the event loop alone: a comparison and its count are one step, so that many attempts at the same
    time do not get round the wait. Behind a relay, or a proxy, everybody has the relay's address and its waits.
    """

    def __init__(self, password: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._password = password.encode()
        self._clock = clock
        self._wrong: dict[str, tuple[int, float]] = {}  # by address: wrong ones in a row, and when the next may come

    def opens(self, address: str, given: str) -> bool:
        """Whether `given` is the password.

        Raises:
            HTTPException: status 429, the address has to wait; nothing was compared.
        """
        wrong, next_at = self._wrong.get(address, (0, 0.0))
        now = self._clock()
        if now < next_at:
            wait = f"{next_at - now:.0f}"
            raise HTTPException(
                429, f"the password was wrong {wrong} times; allowed again in {wait} s", {"Retry-After": wait}
            )
        if secrets.compare_digest(given.encode(), self._password):
            self._wrong.pop(address, None)
            return True
        self._wrong[address] = (wrong + 1, now + min(2.0 ** min(wrong, 30), LONGEST_WAIT))
        if len(self._wrong) > ADDRESSES:
            self._wrong = {key: entry for key, entry in self._wrong.items() if now < entry[1] + FORGOTTEN_AFTER}
        return False
