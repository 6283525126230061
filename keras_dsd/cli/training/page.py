"""What came of a training, on one page. Knows plain values."""

import dataclasses
import json
from typing import Any


@dataclasses.dataclass(frozen=True)
class Page:
    """The results of `keras-dsd train`; prints as text.

    Args:
        command: the command line.
        told: list of str; what was decided for the user.
        phases: list of str.
        metrics: {part: {metric: number}} of the stripped model.
        epochs: how many were trained.
        export: a `deploy.Export`, or `None`.
    """

    command: str
    told: list
    phases: list
    metrics: dict
    epochs: int
    export: Any

    def to_json(self):
        """Returns all as JSON."""
        found = {**vars(self), "export": self.export and self.export.to_dict()}
        return json.dumps(found, indent=2)

    def __str__(self):
        """Returns the results as text."""
        lines = [f"Trained {self.epochs} epochs"]
        lines += [f"  {phase}" for phase in self.phases] or ["  conventionally"]
        for part, values in self.metrics.items():
            numbers = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
            lines.append(f"{part:<11} {numbers}")
        if self.export:
            lines += ["", str(self.export)]
        return "\n".join(lines)

    def to_markdown(self):
        """Returns the page: what was done, what came of it, how to do it again."""
        names = list(
            dict.fromkeys(n for values in self.metrics.values() for n in values)
        )
        head = ["data", *names]
        rows = [
            [part, *(f"{values[name]:.4g}" for name in names)]
            for part, values in self.metrics.items()
        ]
        table = [head, ["---"] * len(head), *rows]
        lines = [
            "# One training",
            "",
            f"{self.epochs} epochs, "
            + ("in phases:" if self.phases else "conventionally."),
            "",
            *(f"- `{phase}`" for phase in self.phases),
            *(f"- {line}" for line in self.told),
            "",
            *("| " + " | ".join(row) + " |" for row in table),
            "",
            *(["```text", str(self.export), "```", ""] if self.export else []),
            "One seed shows no difference between methods: `keras-dsd compare` does.",
            "",
            "Again, or on:",
            "",
            f"    {self.command}",
            "",
        ]
        return "\n".join(lines)
