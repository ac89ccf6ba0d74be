# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The Secret in which a run notes what it has applied."""

from __future__ import annotations

APPLIED = "tracing-applied"
