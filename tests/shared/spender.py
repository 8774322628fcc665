"""What tests of budgets of all replicas use: the budgets of one replica."""

from __future__ import annotations

from claude_max_proxy.errors import BudgetSpent, TooManyRequests
from claude_max_proxy.facts.spending import Spent
from claude_max_proxy.observers.budgets.account import Account, Cost
from claude_max_proxy.observers.budgets.book import Book, Who
from claude_max_proxy.observers.budgets.settings import Budget, Settings
from claude_max_proxy.observers.budgets.together import admit, admit_here, refresh
from claude_max_proxy.shared import Shared
from tests.shared.conftest import Join
from tests.shared.test_foundation import until


WHO = Who("me", "model", "claude")


class Spender:
    """A replica's budgets: so many tokens a day for one key.

    ``asked`` counts how often the database was asked.
    """

    def __init__(self, shared: Shared, limit: int) -> None:
        """Use them, with nothing spent."""
        self.shared, self.book, self.asked = shared, Book(), 0
        self.book.configure(Settings(keys={"me": Budget(tokens_per_day=limit)}))

    @property
    def accounts(self) -> list[Account]:
        """The accounts of the key."""
        return self.book.matching(WHO)

    async def ask(self, id_: str, tokens: int = 100) -> bool:
        """Reserve for a request; return whether there was room."""
        try:
            await self.admit(id_, tokens)
        except (BudgetSpent, TooManyRequests):
            return False
        return True

    async def admit(self, id_: str, tokens: int) -> None:
        """Reserve for a request, as the plugin does; raise what refuses it."""
        given = self.book, self.shared.spending, id_, self.accounts, Cost(tokens), 0, WHO, ()
        if not admit_here(*given):
            self.asked += 1
            await admit(*given)

    def settle(self, id_: str, tokens: int) -> None:
        """Say what a request has used."""
        self.shared.spending.settle(id_, [one.owner for one in self.accounts], Spent(tokens))

    async def used(self) -> float:
        """Return the tokens of all replicas that are used."""
        await refresh(self.book, self.shared.spending)
        return self.book.facts()[0].used


async def spenders(join: Join, number: int = 2, limit: int = 1000) -> list[Spender]:
    """Return replicas that wait as long as a busy machine takes."""
    found = [Spender(await join(timeout=20), limit) for _ in range(number)]
    await until(lambda: all(one.shared.replicas.count == number for one in found))
    await until(lambda: all(one.shared.channel.joined.is_set() for one in found))
    return found
