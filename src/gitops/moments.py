"""Points in time and durations, as texts."""

from datetime import UTC, datetime


def date(moment: datetime) -> str:
    """The moment to the minute, such as `2026-11-22 14:05`, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def time_since(moment: datetime) -> str:
    """How long ago the moment was, in its two largest units, such as `2 h 5 min`."""
    minutes = max(0, int((datetime.now(UTC) - moment).total_seconds())) // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"
