# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What recording into a bucket costs a collector, how large a span is there, and how fast it is simulated from there.

The real collector (ORION_OTELCOL) is sent a recording over HTTP on loopback, with the S3 exporter that the collector
role configures and, to compare, with one that throws everything away; the store is moto's S3 in a process of its own.
What the exporter takes is the difference of the collector's processor times. Then the objects, and a file of the same
requests, are simulated, each in a process on one processor. Figures, no test.
usage: python tests/bench/recordings.py [RECORDING.jsonl[.gz]] [--rounds 3] [--times 3]
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.orion.tracing.tests.ports import free_ports

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/parity"))
TICKS = os.sysconf("SC_CLK_TCK")
BUCKET, KEYS = "orion-traces", {"access_key": "AKIAEXAMPLE", "secret_key": "secret", "region": "us-east-1"}
FORMS = {
    "protobuf, gzip": {"format": "otlp_proto", "compression": "gzip"},
    "protobuf": {"format": "otlp_proto", "compression": "none"},
    "JSON, gzip": {"format": "otlp_json", "compression": "gzip"},
    "JSON": {"format": "otlp_json", "compression": "none"},
}
LINES_PER_REQUEST = 40


@contextmanager
def store() -> Iterator[str]:
    """The URL of a simulated S3 with the bucket."""
    import socket

    import boto3

    (port,) = free_ports()
    argv = [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def listens() -> bool:
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", port)) == 0

    try:
        pause = threading.Event()
        while not listens():
            if process.poll() is not None:
                raise SystemExit(f"{argv[0]} did not start")
            pause.wait(0.05)
        url = f"http://127.0.0.1:{port}"
        keys = {"aws_access_key_id": KEYS["access_key"], "aws_secret_access_key": KEYS["secret_key"]}
        boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys).create_bucket(Bucket=BUCKET)
        yield url
    finally:
        process.kill()
        process.wait()


def collect(binary: str, bodies: list[bytes], times: int, exporter: dict[str, Any]) -> float:
    """Processor seconds of a collector that is sent everything so many times and ends when all is exported.

    exporter: its id and settings.
    """
    from real import LIMIT, Running

    (port,) = free_ports()
    config = {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{port}"}}}},
        "exporters": exporter,
        "service": {
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": list(exporter)}},
        },
    }
    keys = {"AWS_ACCESS_KEY_ID": KEYS["access_key"], "AWS_SECRET_ACCESS_KEY": KEYS["secret_key"]}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder, Running(binary, Path(folder), config, **keys) as collector:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)
        for _time in range(times):
            for body in bodies:
                connection.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
                response = connection.getresponse()
                response.read()
                if response.status != 200:
                    raise SystemExit(f"the collector answered {response.status}")
        collector.stop()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def exporter(url: str, prefix: str, form: dict[str, str]) -> dict[str, Any]:
    """As the role makes it; the queue takes everything, since there is one sender and no pace."""
    from shipped import chart_values

    entry = {"name": "recording", "protocol": "s3", "prefix": prefix, "traces": "all", "endpoint": url, **form}
    entry["tls"] = {"insecure": True}
    config = chart_values(object_storage_bucket=BUCKET, tracing_region="us-east-1", collector_exporters=[entry])[
        "sampler"
    ]["config"]
    settings = config["exporters"]["awss3/recording"]
    settings["sending_queue"]["queue_size"] = 10_000_000
    return {"awss3/recording": settings}


def simulate(source: str, url: str) -> dict[str, float]:
    """In this process: a file, or a prefix of the bucket."""
    from ansible_collections.orion.tracing.plugins.module_utils.otlp import recordings as spans
    from ansible_collections.orion.tracing.plugins.module_utils.otlp.recordings import FileRecording
    from ansible_collections.orion.tracing.plugins.module_utils.s3.client import Store
    from ansible_collections.orion.tracing.plugins.module_utils.s3.recording import S3Recording
    from ansible_collections.orion.tracing.plugins.module_utils.sampling.engine import (
        Engine,
        Settings,
        by_end_time,
        unbatched,
    )
    from shipped import tail_sampling

    recording: Any = FileRecording(source)
    if source.startswith("s3://"):
        recording = S3Recording(Store.connect({**KEYS, "endpoint_url": url}), source)
    engine = Engine(Settings.from_config(tail_sampling()))
    # Of all threads: what else the machine does must not count.
    start, count = time.process_time(), 0
    records = spans.read(recording)
    for record, arrival in by_end_time(unbatched(records) if source.startswith("s3://") else records):
        for outcome in engine.feed(record, arrival):
            count += outcome.facts.spans
    for outcome in engine.finish():
        count += outcome.facts.spans
    seconds = time.process_time() - start
    return {"spans": count, "seconds": seconds, "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def measured(source: str, url: str) -> dict[str, float]:
    """simulate() in a process on one processor."""
    processor = min(os.sched_getaffinity(0))
    argv = [sys.executable, __file__, source, "--child", url]
    done = subprocess.run(
        argv, stdout=subprocess.PIPE, text=True, check=True, preexec_fn=lambda: os.sched_setaffinity(0, {processor})
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("recording", nargs="?")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--child", metavar="URL")
    options = parser.parse_args()
    if options.child is not None:
        print(json.dumps(simulate(options.recording, options.child)))
        return

    from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
    from ansible_collections.orion.tracing.plugins.module_utils.otlp.recordings import FileRecording
    from ansible_collections.orion.tracing.plugins.module_utils.s3.client import Store
    from ansible_collections.orion.tracing.plugins.module_utils.s3.recording import S3Recording
    from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.otlp.made import protobuf
    from sampling import recording as default_recording

    binary = os.environ.get("ORION_OTELCOL", "")
    if not os.access(binary, os.X_OK):
        raise SystemExit("set ORION_OTELCOL (`python -m airgap path otelcol` prints it)")
    path = options.recording or default_recording()
    documents = [message.document() for message in FileRecording(path).messages()]
    spans = sum(map(otlp.count_spans, documents))
    groups = [documents[at : at + LINES_PER_REQUEST] for at in range(0, len(documents), LINES_PER_REQUEST)]
    bodies = [protobuf(otlp.merge(group)) for group in groups]
    size = sum(map(len, bodies))
    print(f"{spans:,} spans of {len(documents):,} requests, {size / spans:.0f} bytes of protobuf for each span")
    rounds = range(options.rounds)
    with store() as url, tempfile.TemporaryDirectory() as folder:
        nothing = statistics.median(collect(binary, bodies, options.times, {"debug": {}}) for _round in rounds)
        total = options.times * spans
        print(f"received and thrown away: {total / nothing:,.0f} spans per CPU-second")
        print(f"{'':16}{'spans per CPU-s':>16}{'bytes/span':>12}{'objects':>9}")
        for name, form in FORMS.items():
            took = [
                collect(binary, bodies, options.times, exporter(url, f"cost-{name}-{number}".replace(", ", "-"), form))
                for number in rounds
            ]
            prefix = f"once-{name}".replace(", ", "-")
            collect(binary, bodies, 1, exporter(url, prefix, form))
            source = S3Recording(Store.connect({**KEYS, "endpoint_url": url}), f"s3://{BUCKET}/{prefix}")
            entries = list(source._entries())
            cost = statistics.median(took) - nothing
            stored = sum(one.size for one in entries) / spans
            print(f"{name:16}{total / cost:16,.0f}{stored:12.1f}{len(entries):9}")
        print(f"{'simulated':32}{'spans per CPU-s':>16}{'peak MiB':>10}")
        for name, form in FORMS.items():
            if form["compression"] == "none":
                continue
            prefix = f"once-{name}".replace(", ", "-")
            bucket = f"s3://{BUCKET}/{prefix}"
            file = Path(folder) / f"{prefix}.gz"
            with gzip.open(file, "wb", compresslevel=6) as out:
                for message in S3Recording(Store.connect({**KEYS, "endpoint_url": url}), bucket).messages():
                    # As the file exporter writes them.
                    length = len(message.text).to_bytes(4, "big")
                    out.write(length + message.text if message.protobuf else message.text.rstrip() + b"\n")
            for place, where in ((f"{name}, bucket", bucket), (f"{name}, file", str(file))):
                found = [measured(where, url) for _round in rounds]
                speed = statistics.median(one["spans"] / one["seconds"] for one in found)
                print(f"{place:32}{speed:16,.0f}{max(one['mib'] for one in found):10.0f}", flush=True)


if __name__ == "__main__":
    main()
