"""The two tools that the agent of every library gets. This file is copied to a client's own files."""


def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"{21 if city == 'Zürich' else 9} in {city}"


def warmest(a: int, b: int) -> str:
    """Tell the higher of two temperatures."""
    return str(max(a, b))


PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQ"
    "AAAABJRU5ErkJggg=="
)
