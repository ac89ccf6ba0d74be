# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks .github/workflows with actionlint, which airgap builds: python -m tools.workflows"""

from __future__ import annotations

import sys

from airgap import cache, spec
from airgap.errors import AirgapError
from tools.steps import Failed, fail, run


def main() -> None:
    run(sys.executable, "-m", "airgap", "build", "actionlint")
    artifacts = spec.load()
    store = cache.Store(cache.default_root(), cache.digests(artifacts))
    # Without shellcheck and pyflakes, which it would use where the machine happens to have them.
    run(store.folder("actionlint") / artifacts["actionlint"].output, "-shellcheck=", "-pyflakes=")


if __name__ == "__main__":
    try:
        main()
    except (Failed, AirgapError) as error:
        fail(error)
