# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from ansible_collections.orion.tracing.plugins.plugin_utils.progress import ProgressAction


class ActionModule(ProgressAction):
    """Runs the module sampler_drain and shows its progress."""
