"""The order between users: start-time fair queueing for many workers, and when a user is in which ring.

Each user has a tag S, the service it was charged divided by its weight, and the user with the smallest tag is served
next; virtual time V is the tag of the last service. This is start-time fair queueing (SFQ: Goyal, Vin, Cheng,
SIGCOMM 1996) over users, with many tasks in service at once as in SFQ(D) (Jin, Chase, Kaur, SIGMETRICS 2004). It does
not need to know costs in advance, and it is fair with any number of workers. Four additions:

* A *fresh* ring, like the new and old flows of FQ-CoDel (RFC 8290): a user that was idle and owes little is served
  first, in order of arrival, but only FRESH_RUN times in a row while others wait.
* CRITICAL tasks borrow: they skip the order only while their user is less than a credit ahead of V and no user is
  behind V, and are charged like all others.
* Debts are forgiven when no user waits: capacity that no other user wanted costs nothing later.
* Caps, pauses and rate limits take a user out of the rings. The rate is GCRA, a token bucket stored as one number, as
  used for cells in ATM networks (ITU-T I.371).

Idle and paused time earns nothing: a user that returns from it starts at V at least. A user held back only by its cap
or its rate keeps its place behind V, because V may have passed it only because others have longer tasks; but no
further behind than its leeway, or a limit that binds would save up credit. FAIRNESS.md has the resulting promises
and their proofs.
"""

import math
from collections.abc import Iterable
from typing import Final

from attrs import define, field, frozen

from fairque.testing.fairness.records import Lane, User, UserSettings
from fairque.testing.fairness.ring import Ring, TwoEndedRing

__all__ = ["CREDIT_RUN", "FRESH_RUN", "HIGH", "PATIENCE", "FairOrder", "Units"]

#: R_b: pops in a row that may skip the ready ring.
FRESH_RUN: Final = 8
#: R_c: pops in a row on CRITICAL credit.
CREDIT_RUN: Final = 3
#: After V advanced by this many leeways, a user whose place was cut, and that has not had to wait since, counts as one
#: whose limit binds.
PATIENCE: Final = 16
#: When virtual time reaches this, it starts over, before digits of tags are lost.
HIGH: Final = 2.0**51


@frozen(kw_only=True)
class Units:
    """The constants that depend on the unit of charges: microseconds, or tasks.

    Attributes:
        burst: B, the largest debt with which a user counts as fresh.
        credit: Bc, how far ahead of its fair share CRITICAL tasks may be served.
        leeway: K, the initial leeway: how far a user may be behind when it returns from its cap or its rate.
    """

    burst: int
    credit: int
    leeway: int


@define(kw_only=True, eq=False)
class FairOrder:
    """The rings, virtual time, and the two decisions: which user is next, and in which ring a user belongs.

    Attributes:
        units: The constants.
        defaults: Cap, rate and burst of users without their own.
        V: Virtual time: the tag of the last user served from the ready ring.
        aseq: Arrivals in the fresh ring.
        bs: Pops in a row that skipped the ready ring.
        cg: Pops in a row on CRITICAL credit.
        ready: Runnable users by tag.
        fresh: Runnable users that were idle, by arrival.
        critical: Users of both whose next task is CRITICAL, by tag minus credit.
        owe: Users in no ring with a tag above V, by tag.
        timers: Users to sync again, by time in microseconds: the rate allows the next start, or the bucket is full.
    """

    units: Units
    defaults: UserSettings = field(init=False, factory=UserSettings)
    V: float = field(init=False, default=0.0)
    aseq: int = field(init=False, default=0)
    bs: int = field(init=False, default=0)
    cg: int = field(init=False, default=0)
    ready: Ring = field(init=False, factory=Ring)
    fresh: Ring = field(init=False, factory=Ring)
    critical: Ring = field(init=False, factory=Ring)
    owe: TwoEndedRing = field(init=False, factory=TwoEndedRing)
    timers: Ring = field(init=False, factory=Ring)

    def pick(self) -> str | None:
        """Choose the user to serve next; None if none is runnable. Advances virtual time, and charges nothing."""
        critical, fresh, ready = self.critical.head(), self.fresh.head(), self.ready.head()
        # A user behind V is never skipped: its limit may keep it from making up for the lost turn.
        lends = ready is None or ready[0] >= self.V
        if critical and critical[0] <= self.V and lends and self.cg < CREDIT_RUN and self.bs < FRESH_RUN:
            self.cg += 1
            self.bs += 1
            return critical[1]
        if fresh and self.bs < FRESH_RUN:
            self.cg = 0
            self.bs += 1
            return fresh[1]
        self.bs = 0
        # Credit that skipped a fresh user stays used, or each round could begin with three more CRITICAL pops.
        if not ready or not fresh:
            self.cg = 0
        if ready:
            self.V = max(self.V, ready[0])
            return ready[1]
        return fresh[1] if fresh else None

    def runnable(self, user: User, now_us: int) -> bool:
        """Whether a task of the user may be started now."""
        cap = self._cap(user)
        return (
            user.pending > 0
            and not user.settings.paused
            and (cap is None or user.inf < cap)
            and self.next_start(user) <= now_us
        )

    def _cap(self, user: User) -> int | None:
        return user.settings.cap or self.defaults.cap

    def sync(self, user: User, now_us: int) -> None:
        """Put a user into the rings where it belongs, after any change. No other code does."""
        if self.runnable(user, now_us):
            if user.lane in (Lane.IDLE, Lane.PARKED):
                self._activate(user)
            if user.lane is Lane.READY:
                self.ready.put(user.id, user.S)
            if user.critical_next:
                self.critical.put(user.id, self._credit_limit(user))
            else:
                self.critical.discard(user.id)
        else:
            self._deactivate(user)
        user.anew = False
        self.place_debt(user)
        self._set_timer(user, now_us)

    def _credit_limit(self, user: User) -> float:
        return user.S - self.units.credit / user.settings.weight

    def _activate(self, user: User) -> None:
        """Make an idle or parked user runnable."""
        stays = user.lane is Lane.PARKED and not user.anew
        if not self.fresh:
            head = self.ready.head()
            if not head:
                self.forgive()
            elif not stays:
                # A user that waits alone used what no other user wanted: all begin at the next tag. But a user held
                # back only by a limit was not idle.
                self.V = max(self.V, head[0])
        owes_little = self.V + self.units.burst / user.settings.weight >= user.S
        fresh = user.lane is Lane.IDLE and user.inf == 0 and owes_little
        # No credit for idle time; a debt is kept.
        user.S = max(user.S, self._kept_place(user) if stays else self.V)
        user.lane = Lane.FRESH if fresh else Lane.READY
        if fresh:
            self.aseq += 1
            self.fresh.put(user.id, self.aseq)

    def _kept_place(self, user: User) -> float:
        """The smallest tag with which a user returns from its cap or its rate: V minus its leeway.

        The leeway of a user grows if it was too small: its place was cut, but the user soon had to wait for its turn,
        so its limit does not bind. It is reset after V has advanced for long without that.
        """
        weight = user.settings.weight
        leeway = user.leeway or self.units.leeway
        if leeway / weight < self.V - user.S:
            if user.cut is None:
                user.cut = self.V
            elif self.V - user.cut > PATIENCE * leeway / weight:
                user.leeway, leeway = None, self.units.leeway
        return self.V - leeway / weight

    def take_turn(self, user: User) -> None:
        """Note that the user is served. A tag of at least V means that it had to wait for others.

        Soon after its place was cut, this shows that no limit held it back and its leeway was too small; much later,
        that its limit no longer binds. Without a cap the leeway does not grow: whether a rate binds depends on the
        length of the user's tasks, so a user could save up credit with tiny tasks, and then take all workers with long
        ones.
        """
        if user.cut is None or user.S < self.V:
            return
        leeway = user.leeway or self.units.leeway
        if self._cap(user) and self.V - user.cut <= PATIENCE * leeway / user.settings.weight:
            user.leeway = 2 * leeway
        user.cut = None

    def start_over(self, user: User) -> None:
        """Start over after an operator changed the limits of the user: the time until now earns nothing."""
        user.S = max(user.S, self.V)
        user.leeway = user.cut = None
        user.anew = True

    def _deactivate(self, user: User) -> None:
        """Take a user without tasks, or without any that may be started, out of the rings."""
        for ring in (self.ready, self.fresh, self.critical):
            ring.discard(user.id)
        if user.pending == 0:
            user.lane, user.cut = Lane.IDLE, None
            return
        if user.lane is Lane.IDLE:
            # It had no work until now, whatever holds it back from here on.
            user.S = max(user.S, self.V)
        user.lane = Lane.PARKED

    def place_debt(self, user: User) -> None:
        """Remember a debt of a user in no ring until virtual time has passed it."""
        if user.lane in (Lane.IDLE, Lane.PARKED) and user.S > self.V:
            self.owe.put(user.id, user.S)
        else:
            self.owe.discard(user.id)

    def forgive(self) -> None:
        """Let virtual time pass all debts, because no user waits."""
        self.V = max(self.V, self.owe.largest() or 0.0)

    def lower_tags(self, users: Iterable[User]) -> None:
        """Restart virtual time and the tags of all users at 0."""
        by, self.V = self.V, 0.0
        for user in users:
            user.S -= by
            if user.cut is not None:
                user.cut -= by
            if user.lane is Lane.READY:
                self.ready.put(user.id, user.S)
            if user.id in self.critical:
                self.critical.put(user.id, self._credit_limit(user))
            self.place_debt(user)

    def leave_fresh(self, user: User) -> None:
        """Move a served user to the ready ring: from now on its tag decides when it is next."""
        if user.lane is Lane.FRESH:
            self.fresh.discard(user.id)
            user.lane = Lane.READY
            # Time spent among many new users earns nothing either, or it would all be made up for at once.
            user.S = max(user.S, self.V)

    # The rate limit: a start advances `tat` by one interval, and may come up to burst - 1 intervals before it.

    def _rate(self, user: User) -> float | None:
        return user.settings.rate or self.defaults.rate

    def _burst(self, user: User) -> int:
        return user.settings.burst or self.defaults.burst or 1

    def next_start(self, user: User) -> float:
        """When the rate allows the next start, in microseconds."""
        rate = self._rate(user)
        return user.tat - (self._burst(user) - 1) * 1_000_000 / rate if rate else -math.inf

    def spend_start(self, user: User, now_us: int) -> None:
        """Take one start out of the user's bucket."""
        if rate := self._rate(user):
            user.tat = max(user.tat, now_us) + 1_000_000 / rate

    def fit_bucket(self, user: User, now_us: int) -> None:
        """Shorten `tat` if rate and burst have changed: a bucket never takes longer to fill than they allow."""
        rate = self._rate(user)
        user.tat = min(user.tat, now_us + self._burst(user) * 1_000_000 / rate) if rate else 0.0

    def _set_timer(self, user: User, now_us: int) -> None:
        if user.pending == 0:
            # Its record is kept until then: otherwise emptying the queue would refill the bucket.
            at = user.tat
        elif user.settings.paused:
            at = -math.inf
        else:
            at = self.next_start(user)
        if at > now_us:
            self.timers.put(user.id, at)
        else:
            self.timers.discard(user.id)
