"""Checking numbers that a user gives."""


def check_count(name: str, count: object) -> None:
    """Raise unless `count` is a whole number from 1 on."""
    if not isinstance(count, int) or isinstance(count, bool):
        raise TypeError(f"{name} must be a whole number, not {count!r}")
    if count < 1:
        raise ValueError(f"{name} must be greater than 0")
