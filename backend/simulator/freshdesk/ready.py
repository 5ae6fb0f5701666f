"""Accounts that are ready to be served: one to show, and one of any size."""

from collections.abc import Callable
from datetime import datetime

from backend.simulator.freshdesk.account import Account
from backend.simulator.freshdesk.demo import fill, fill_desk
from backend.simulator.freshdesk.generated import Generated
from backend.util.clock import utc_now


def demo_account(
    *,
    subdomain: str = "daedap-demo",
    seed: int = 7,
    now: datetime | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> Account:
    """Return a desk with people, a knowledge base and more than 300 tickets of the last year, Korean and English.

    The same seed and `now` give the same account. `now` is when the newest ticket changed, the clock's time when it is
    not given.
    """
    account = Account(subdomain, clock=clock)
    fill(account, seed, now or clock())
    return account


def generated_account(
    tickets: int = 20_000,
    conversations: float = 5.0,
    *,
    subdomain: str = "daedap-load",
    seed: int = 7,
    now: datetime | None = None,
    same_second: int = 250,
    clock: Callable[[], datetime] = utc_now,
) -> Account:
    """Return a desk of any size whose tickets are made when they are asked for; 16 bytes each are kept.

    Args:
        tickets: How many.
        conversations: How many a ticket has, on average.
        subdomain: What stands before `.freshdesk.com`.
        seed: The same seed and `now` give the same account.
        now: When the newest ticket changed.
        same_second: How many tickets in a row changed in one second; such a row comes once in four times as many.
        clock: The time, for whatever changes from now on.
    """
    until = now or clock()
    archive = Generated(tickets, conversations, seed=seed, until=until, run=same_second)
    account = Account(subdomain, clock=clock, archive=archive)
    fill_desk(account, until)
    return account
