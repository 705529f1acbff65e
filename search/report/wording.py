"""How numbers are said to a person: objectives, spans of time, and settings."""

import math

OBJECTIVE_LABELS = {
    "validation_error": "validation error",
    "validation_nll": "validation negative log-likelihood",
    "validation_brier": "validation Brier score",
}


def format_objective(value: float | None, objective: str) -> str:
    """Return an error as a percentage, another objective as a number, None as a dash.

    >>> format_objective(0.03611, "validation_error")
    '3.61%'
    """
    if value is None or not math.isfinite(value):
        return "-" if value is None else str(value)
    return f"{100 * value:.2f}%" if objective == "validation_error" else f"{value:.4f}"


def format_span(seconds: float) -> str:
    """Return a span of time as a clock shows it.

    >>> [format_span(seconds) for seconds in (5, 75, 3675)]
    ['0:05', '1:15', '1:01:15']
    """
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def format_number(value: float) -> str:
    """Return a number with three digits, or six of one that is large.

    >>> [format_number(value) for value in (0.0031416, 16.0, 1023.0)]
    ['0.00314', '16', '1023']
    """
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:g}"


def format_setting(value: object) -> str:
    """Return a design's value as a person reads it.

    >>> [format_setting(value) for value in (True, 0.0031416, 16, "relu")]
    ['yes', '0.00314', '16', 'relu']
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
