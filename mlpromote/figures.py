"""Numbers as people read them: the same number always looks the same. Pure."""

#: From here on, digits before the point would be too many to read.
_LARGEST = 1e15


def figure(value: float) -> str:
    """The number with six digits: `0.95`, `11909.9`; whole numbers, and those above a million, without decimals."""
    if abs(value) >= _LARGEST or value != value:
        return f"{value:.6g}"
    if value == int(value) or abs(value) >= 1e6:
        return f"{value:.0f}"
    return f"{value:.6g}"
