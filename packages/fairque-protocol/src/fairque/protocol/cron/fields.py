"""The fields of a cron expression: their valid values, and messages about invalid ones."""

import re
from collections.abc import Iterator, Mapping

from attrs import field, frozen

__all__ = ["FIVE_FIELDS", "SIX_FIELDS", "Field"]

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

_ITEM = re.compile(r"(?:\*|(?P<low>\w+)(?:-(?P<high>\w+))?)(?:/(?P<step>\w+))?", re.ASCII)
_NTH = re.compile(r"(?P<day>\w+)#(?P<which>\w+)", re.ASCII)
_LAST = re.compile(r"l[0-7]", re.ASCII)
_LAST_REVERSED = re.compile(r"[0-7]l", re.ASCII)
_CHANCE = re.compile(r"[hr](?:[(/].*)?", re.ASCII)
_NEAREST = re.compile(r"\d+w|w\d+|lw|wl", re.ASCII)


class _Wrong(ValueError):
    """An item is invalid for a field; the message is the continuation of the item."""


@frozen
class Field:
    """A field of an expression.

    Attributes:
        name: Its name in messages.
        low: The lowest number.
        high: The highest number.
        names: Names of numbers.
    """

    name: str
    low: int
    high: int
    names: Mapping[str, int] = field(factory=dict)

    @property
    def numbers(self) -> range:
        """The distinct numbers: Sunday has two, of which the lower counts."""
        return range(self.low, self.low + (len(self.names) or self.high - self.low + 1))

    def problems(self, text: str) -> Iterator[str]:
        """Yield what is wrong with the text of the field, in lower case."""
        items = text.split(",")
        if len(items) > 1 and "*" in items:
            yield f"{text!r} lists * with others: write only *, which includes them"
        for item in items:
            try:
                self._check(item)
            except _Wrong as wrong:
                yield f"{item!r} {wrong}"

    def _check(self, item: str) -> None:
        if not item:
            raise _Wrong("is empty: remove a comma")
        if _CHANCE.fullmatch(item):
            raise _Wrong("stands for a time picked by hash or at random: write the time itself")
        if _NEAREST.fullmatch(item):
            raise _Wrong("stands for the nearest working day, which is not supported")
        match = _ITEM.fullmatch(item)
        if match is None:
            raise _Wrong("is not understood: write *, a number, a-b, */n or a-b/n, several with commas")
        low, high, step = match["low"], match["high"], match["step"]
        if high is not None:
            self._check_range(item, low, high)
        elif low is not None:
            # "a/n" continues to the end of the field, and Sunday as 7 would be beyond it.
            self._number(item, low, self.high if step is None else self.numbers[-1])
        if step is not None:
            self._check_step(step)

    def _check_range(self, item: str, low: str, high: str) -> None:
        first, last = self._number(item, low, self.high), self._number(item, high, self.high)
        if first and high == "sun":
            last = self.high
        if first == last:
            raise _Wrong(f"is a range of one value: write {low}")
        if first > last:
            instead = "its numbers with commas" if "/" in item else f"{low}-{self.numbers[-1]},{self.low}-{high}"
            raise _Wrong(f"runs backwards: write {instead}")

    def _check_step(self, step: str) -> None:
        if not step.isdecimal() or int(step) == 0:
            raise _Wrong(f"has the step {step}, which is not a number from 1")
        size = len(self.numbers)
        if int(step) > size:
            raise _Wrong(f"has the step {step}, but there are only {size} values")

    def _number(self, item: str, text: str, top: int) -> int:
        """Return the number of a text, which is the item or a part of it."""
        number = int(text) if text.isdecimal() else self.names.get(text)
        which = "is" if item == text else f"has {text}, which is"
        if number is None:
            names = f" or a name ({', '.join(self.names)})" if self.names else ""
            raise _Wrong(f"{which} not a number{names}")
        if number < self.low:
            raise _Wrong(f"{which} below {self.low}")
        if number > top:
            raise _Wrong(f"{which} above {top}")
        return number


class _DayField(Field):
    """The day of the month, which may be the last one."""

    def problems(self, text: str) -> Iterator[str]:
        return iter(()) if text == "?" else super().problems(text)

    def _check(self, item: str) -> None:
        if item != "l":
            super()._check(item)


class _WeekdayField(Field):
    """The day of the week, which may be a particular one in each month."""

    def problems(self, text: str) -> Iterator[str]:
        if text == "?":
            return
        yield from super().problems(text)
        items = text.split(",")
        some = [item for item in items if _NTH.fullmatch(item) or _LAST.fullmatch(item)]
        if some and len(some) < len(items):
            yield f"{text!r} mixes days of every week with {some[0]!r}: make two schedules"

    def _check(self, item: str) -> None:
        if _LAST_REVERSED.fullmatch(item):
            raise _Wrong(f"is not understood: write L{item[0]} for the last one of a month")
        if match := _NTH.fullmatch(item):
            self._number(item, match["day"], self.high)
            if match["which"] not in ("1", "2", "3", "4", "5"):
                raise _Wrong(f"selects number {match['which']} of these days in a month: use 1 to 5")
        elif not _LAST.fullmatch(item):
            super()._check(item)


FIVE_FIELDS = (
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    _DayField("day of month", 1, 31),
    Field("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    _WeekdayField("day of week", 0, 7, {name: number for number, name in enumerate(_WEEKDAYS)}),
)
SIX_FIELDS = (Field("second", 0, 59), *FIVE_FIELDS)
