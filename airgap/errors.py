"""The one kind of error that reaches the user: what failed, why, and what to do about it."""

from __future__ import annotations


class AirgapError(Exception):
    """Its text is printed as it is, so it names what failed, the reason and the remedy."""
