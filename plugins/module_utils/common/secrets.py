# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Which names announce a secret, and how short a secret may be to be searched for in other text."""

from __future__ import annotations

import re

SECRET_NAME = re.compile(r"pass(word|phrase|wd)?|secret|token|credential|private|api_?key|access_?key", re.IGNORECASE)
SHORTEST_SECRET = 6  # shorter strings occur by chance; masking them would garble names and numbers
