"""A report as text: in columns, as Markdown, as CSV. Knows its numbers only."""

import csv
import io


def plain(report):
    """Returns a report as a table in columns, as `print` shows it."""
    lines = _lines(report)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    rule = "-" * max(map(len, table))
    return "\n".join([table[0], rule, *table[1:], "", _summary(report)])


def markdown(report):
    """Returns a report as a table in Markdown."""
    head, *rows = _lines(report)
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, *rows)]
    lines.insert(1, "|---|---|" + "---:|" * (len(head) - 2))
    return "\n".join([*lines, "", _summary(report), ""])


def csv_lines(report):
    """Returns a line of CSV for each value of a report."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["corruption", "family", "severity", report.metric])
    if report.clean is not None:
        writer.writerow(["clean", "", 0, report.clean])
    for name, row in report.table.items():
        for severity, value in row.items():
            writer.writerow([name, report.families[name], severity, value])
    return text.getvalue()


def _lines(report):
    severities = sorted({s for row in report.table.values() for s in row})
    ce, means = report.ce, report.means
    head = ["corruption", "family", *map(str, severities), "mean"]
    lines = [head + (["CE"] if ce else [])]
    for name, row in report.table.items():
        cells = [_number(row.get(severity)) for severity in severities]
        line = [name, report.families[name], *cells, _number(means[name])]
        lines.append(line + ([f"{ce[name]:.3f}"] if ce else []))
    return lines


def _summary(report):
    families = (f"{name} {_number(mean)}" for name, mean in report.by_family.items())
    parts = [
        f"{report.metric}, {report.images:,} images: clean {_number(report.clean)}, "
        f"corrupted {_number(report.robust)}",
        ", ".join(families),
    ]
    if report.mce is not None:
        relative = report.relative_mce
        against = "AlexNet" if report.baseline == "alexnet" else "the baseline"
        parts.append(
            f"Against {against}: mCE {report.mce:.3f}"
            + ("" if relative is None else f", relative mCE {relative:.3f}")
        )
    return "\n".join(parts)


def _number(value):
    return "-" if value is None else f"{value:.4f}"
