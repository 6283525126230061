"""The texts of a page, from the JSON beside it."""


def texts(value):
    """Yields all texts in a page's JSON, as dicts with key, text and values."""
    if isinstance(value, dict):
        if value.keys() == {"key", "text", "values"}:
            yield value
        for one in value.values():
            yield from texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from texts(one)
