# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A real Kafka broker on loopback, from the jars and the Java runtime that airgap has built."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ansible_collections.orion.tracing.tests.ports import free_ports

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 90.0


@cache
def _built(name: str) -> Path:
    """Where an artefact of airgap is: as ORION_KAFKA or ORION_JRE tells, otherwise it is built first, if need be."""
    if given := os.environ.get(f"ORION_{name.upper()}"):
        return Path(given)
    argv = [sys.executable, "-m", "airgap"]
    subprocess.run([*argv, "build", name], cwd=ROOT, check=True, capture_output=True)
    done = subprocess.run([*argv, "path", name], cwd=ROOT, check=True, capture_output=True, text=True)
    return Path(done.stdout.strip())


def _quoted(text: str) -> str:
    """In a string of JAAS, and that in a file of Java properties."""
    return text.replace("\\", "\\\\\\\\").replace('"', '\\\\"')


@dataclass
class Broker:
    """address: host:port of a listener without TLS, with SASL/PLAIN where there are users."""

    address: str
    folder: Path
    java: str
    classes: str
    users: Mapping[str, str]

    @classmethod
    @contextmanager
    def started(
        cls, folder: Path, users: Mapping[str, str] | None = None, settings: Mapping[str, str] | None = None
    ) -> Iterator[Broker]:
        """users: password by name; the first one is the broker's own. settings: of server.properties, beside ours."""
        folder.mkdir(parents=True)
        [java] = map(str, list(_built("jre").glob("**/bin/java"))[:1])
        port, control = free_ports(2)
        listener = "SASL_PLAINTEXT" if users else "PLAINTEXT"
        found = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{control}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"{listener}://127.0.0.1:{port},CONTROLLER://127.0.0.1:{control}",
            "advertised.listeners": f"{listener}://127.0.0.1:{port}",
            "listener.security.protocol.map": f"{listener}:{listener},CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": listener,
            "log.dirs": str(folder / "data"),
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "auto.create.topics.enable": "false",
        }
        if users:
            [(name, password), *_others] = users.items()
            entries = " ".join(f'user_{one}="{_quoted(secret)}"' for one, secret in users.items())
            module = "org.apache.kafka.common.security.plain.PlainLoginModule required"
            found["sasl.enabled.mechanisms"] = found["sasl.mechanism.inter.broker.protocol"] = "PLAIN"
            found["listener.name.sasl_plaintext.plain.sasl.jaas.config"] = (
                f'{module} username="{name}" password="{_quoted(password)}" {entries};'
            )
        config = folder / "server.properties"
        config.write_text("".join(f"{key}={value}\n" for key, value in {**found, **(settings or {})}.items()))
        config.chmod(0o600)
        one = cls(f"127.0.0.1:{port}", folder, java, f"{_built('kafka')}/*", dict(users or {}))
        one._run("kafka.tools.StorageTool", "format", "--cluster-id", "b3Jpb24tc2luZ2xlLW5vZA", "--config", str(config))
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen(one._argv("kafka.Kafka", str(config)), stdout=log, stderr=log)
        try:
            one._until_open(process, port)
            yield one
        finally:
            process.kill()
            process.wait(LIMIT)

    def _argv(self, program: str, *arguments: str) -> list[str]:
        options = ["-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        options += ["--sun-misc-unsafe-memory-access=allow"]
        options += [f"-Dlog4j2.configurationFile={ROOT / 'airgap/kafka/log4j2.properties'}"]
        return [self.java, *options, "-cp", self.classes, program, *arguments]

    def _run(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            self._argv(program, *arguments), capture_output=True, text=True, check=False, timeout=LIMIT, env=os.environ
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _until_open(self, process: subprocess.Popen[bytes], port: int) -> None:
        end = time.monotonic() + LIMIT
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                log = (self.folder / "log").read_text()[-3000:]
                assert process.poll() is None, f"Kafka has ended: {log}"
                assert time.monotonic() < end, f"Kafka did not listen within {LIMIT:g} s: {log}"
                time.sleep(0.1)
