"""Charts drawn on the server, as numbers for a template of SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

WIDTH, HEIGHT = 700, 190
LEFT, RIGHT, TOP, BOTTOM = 34, 10, 16, 26
DATES_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Day:
    on: date
    good: int
    bad: int

    @property
    def total(self) -> int:
        return self.good + self.bad


@dataclass(frozen=True, slots=True)
class DayBar:
    day: Day
    x: str
    width: str
    good_y: str
    good_height: str
    bad_y: str
    bad_height: str
    middle: str
    label: str
    label_y: str
    shows_date: bool


@dataclass(frozen=True, slots=True)
class BarChart:
    bars: list[DayBar]
    lines: list[tuple[str, str]]  # y, label
    width: int
    right: int
    height: int = HEIGHT
    left: int = LEFT
    base: int = HEIGHT - 8


def bar_chart(days: Sequence[Day], *, width: int = WIDTH) -> BarChart:
    """One stacked bar a day: what ended badly stands on top."""
    top = nice_ceiling(max((day.total for day in days), default=0))
    floor = HEIGHT - BOTTOM
    per_unit = (floor - TOP) / top
    slot = (width - LEFT - RIGHT) / max(len(days), 1)
    every = -(-len(days) // DATES_SHOWN)
    return BarChart(
        bars=[
            _bar(day, i, slot=slot, per_unit=per_unit, floor=floor, dated=(len(days) - 1 - i) % every == 0)
            for i, day in enumerate(days)
        ],
        lines=[(_n(floor - value * per_unit), f"{value:,}") for value in range(0, top + 1, top // 4)],
        width=width,
        right=width - RIGHT,
    )


def _bar(day: Day, index: int, *, slot: float, per_unit: float, floor: int, dated: bool) -> DayBar:
    x = LEFT + index * slot + slot * 0.18
    good, bad = day.good * per_unit, day.bad * per_unit
    return DayBar(
        day=day,
        x=_n(x),
        width=_n(slot * 0.64),
        good_y=_n(floor - good),
        good_height=_n(good),
        bad_y=_n(floor - good - bad),
        bad_height=_n(bad),
        middle=_n(x + slot * 0.32),
        label=str(day.total) if day.total else "",
        label_y=_n(floor - good - bad - 3),
        shows_date=dated,
    )


def nice_ceiling(value: int) -> int:
    """The least of 4, 8, 12, 20, 40, 80, 120, 200 … that is not below `value`; all of them have quarters."""
    size = 1
    while value > 20 * size:
        size *= 10
    return next(step * size for step in (4, 8, 12, 20) if value <= step * size)


def _n(value: float) -> str:
    return f"{value:.1f}"
