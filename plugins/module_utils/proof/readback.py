# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Reading the traces of a run back from the store, for the proof and the periodic probe."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Deadline
from ansible_collections.orion.tracing.plugins.module_utils.proof import probe
from ansible_collections.orion.tracing.plugins.module_utils.store.reader import Criteria, NotNow, StoreReader

# A last look is taken also when the time is over.
LAST_READ_SECONDS = 10.0


class ReadBack:
    """Asks the store for the traces of a run between two Unix seconds, and notes in seen what was found, and when.

    sent_at: began when sending did. progress is called with a line of text for people.
    """

    def __init__(
        self,
        reader: StoreReader,
        traces: Mapping[str, probe.ProbeTrace],
        run_id: str,
        times: tuple[int, int],
        seen: probe.Observation,
        sent_at: Deadline,
        progress: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.reader, self.traces, self.run_id, self.times = reader, traces, run_id, times
        self.seen, self.sent_at, self.progress = seen, sent_at, progress

    def read(self, trace_ids: Sequence[str], left: float) -> None:
        """Read traces by id and note when each one is complete. left: seconds of the run's time that are left."""
        limit = Deadline(self.sent_at.clock, max(LAST_READ_SECONDS, left))
        for trace_id, trace in self.reader.traces(trace_ids, *self.times, limit).items():
            self.seen.read[trace_id] = trace
            if probe.is_complete(self.traces[trace_id], trace) and trace_id not in self.seen.complete_at:
                self.seen.complete_at[trace_id] = self.sent_at.elapsed
                if len(self.seen.complete_at) == 1:
                    self.progress(f"first trace read back after {self.sent_at.elapsed:.1f} s")

    def search(self, must: Collection[str]) -> str:
        """Search once, and note when it finds the traces that must be kept. Returns why it could not."""
        criteria = Criteria(attributes={probe.RUN_ATTRIBUTE: self.run_id})
        try:
            found = self.reader.search(criteria, *self.times, 2 * len(self.traces), probe.SERVICES)
        except NotNow as error:
            return str(error)
        self.seen.searched |= {one: count for one, count in found.items() if one in self.traces}
        if self.seen.searched_at is None and all(one in self.seen.searched for one in must):
            self.seen.searched_at = self.sent_at.elapsed
            self.progress(f"{self.reader.search_name} finds the kept traces after {self.sent_at.elapsed:.1f} s")
        return ""
