"""Reports: records of runs as text and pictures. Knows the records only."""

__all__ = [
    "audit_view",
    "forms",
    "language",
    "page",
    "study_page",
    "writing",
]
