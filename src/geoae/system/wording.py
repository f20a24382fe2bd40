"""Numbers, ranges and lists in words, for people."""

from collections.abc import Iterable, Sequence

__all__ = ["count", "name_bands", "name_first", "name_numbers", "name_range"]

# Numbers below it have no exponent.
LARGE = 1e8


def count(number: int, what: str) -> str:
    """Format a number of things."""
    return f"{number} {what}" + ("" if number == 1 else "s")


def name_range(values: Iterable[float], spec: str = ".3g") -> str:
    """Put the range of some numbers into words: "2 to 3", or "2" where the ends look the same.

    Args:
        values: at least one number.
        spec: format of the ends.

    """
    numbers = [float(value) for value in values]
    low, high = (_plain(f"{end(numbers):{spec}}") for end in (min, max))
    return low if low == high else f"{low} to {high}"


def _plain(number: str) -> str:
    """Write thousands without an exponent, "12300" for "1.23e+04"."""
    large = "e+" in number and abs(float(number)) < LARGE
    return f"{float(number):.0f}" if large else number


def name_numbers(numbers: Iterable[int]) -> str:
    """List numbers, runs of them by the first and the last, as in "1-3, 7"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def name_bands(bands: Sequence[int]) -> str:
    """Put numbers of bands into words, as in "bands 1-3, 7"."""
    return f"band{'' if len(bands) == 1 else 's'} {name_numbers(bands)}"


def name_first(words: Sequence[str], most: int) -> str:
    """List the first ``most`` words, and say how many more there are."""
    shown = ", ".join(words[:most])
    return shown + (f" and {len(words) - most} more" if len(words) > most else "")
