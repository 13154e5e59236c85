"""What must hold for a figure to mean anything."""


class WrongResult(Exception):
    """Something was measured that was not right: its figure says nothing."""


def expect(holds: bool, otherwise: str) -> None:
    """Raises WrongResult with the text `otherwise` unless `holds`."""
    if not holds:
        raise WrongResult(otherwise)
