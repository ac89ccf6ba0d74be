# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Rules for names of buckets. Pure."""

from __future__ import annotations

import re

ALPHABET = re.compile(r"[a-z0-9.-]+")
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def problem(name: str) -> str:
    """Why this cannot be the name of a general purpose bucket; "" if it can.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    """
    if not 3 <= len(name) <= 63:
        return f"it has {len(name)} characters; 3 to 63 are allowed"
    if not ALPHABET.fullmatch(name):
        return "only lower-case letters, digits, dots and hyphens are allowed"
    if not all(LABEL.fullmatch(label) for label in name.split(".")):
        return "every part between dots must begin and end with a letter or digit"
    if re.fullmatch(r"\d+\.\d+\.\d+\.\d+", name):
        return "it looks like an IP address"
    for affix in (*(p for p in PREFIXES if name.startswith(p)), *(s for s in SUFFIXES if name.endswith(s))):
        return f"{affix} is reserved"
    return ""
