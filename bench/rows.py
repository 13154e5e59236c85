"""The rows of the table."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Target:
    """What is aimed at: a figure of at least (`≥`) or at most (`≤`) so much."""

    sign: str
    bound: float

    def met_by(self, value: float) -> bool:
        return value >= self.bound if self.sign == "≥" else value <= self.bound


def at_least(bound: float) -> Target:
    return Target("≥", bound)


def at_most(bound: float) -> Target:
    return Target("≤", bound)


@dataclass
class Row:
    """A figure, what it should be, and what the machine can do at best."""

    what: str
    value: float
    unit: str
    target: Target | None = None
    # The limit that was measured in the same run, in the same unit.
    limit_name: str = ""
    limit: float | None = None
    ratio_target: Target | None = None
    # Processor cores kept busy meanwhile, by program.
    cores: dict[str, float] = field(default_factory=dict)
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """The figure as a multiple of the limit."""
        return self.value / self.limit if self.limit else None

    def misses(self) -> list[str]:
        """Each target that is not reached, in words."""
        pairs = [(self.target, self.value, f" {self.unit}"), (self.ratio_target, self.ratio, " of the limit")]
        return [
            f"{number(value)}{unit} instead of {target.sign} {number(target.bound)}"
            for target, value, unit in pairs
            if target and value is not None and not target.met_by(value)
        ]

    def as_json(self) -> dict:
        return asdict(self) | {"ratio": self.ratio, "misses": self.misses()}

    @staticmethod
    def from_json(stored: dict) -> Row:
        known = {key: stored[key] for key in Row.__dataclass_fields__ if key in stored}
        for key in ("target", "ratio_target"):
            if known.get(key):
                known[key] = Target(**known[key])
        return Row(**known)


def number(value: float) -> str:
    """Three significant digits, thousands separated."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    digits = 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 3
    return f"{value:.{digits}f}"


def size(size_bytes: int) -> str:
    """`1 MiB`, `4 GiB`."""
    for unit, scale in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size_bytes >= scale:
            return f"{size_bytes / scale:g} {unit}"
    return f"{size_bytes} B"


def median(values: list[float]) -> float:
    """The middle one; of an even number the mean of the two in the middle."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
