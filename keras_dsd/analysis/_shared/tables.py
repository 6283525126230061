"""Rows of text as aligned lines. Knows strings."""


def aligned(rows, left=(0,)):
    """Returns one line for each row, its columns as wide as their longest cell.

    Args:
        rows: list of tuples of strings, the heading first.
        left: indices of the columns that begin at the left. Defaults to the first.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
