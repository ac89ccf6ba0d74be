# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""A connection to a Kafka cluster, by kafka-python: reading what topic.py judges, and doing what it plans.

Without TLS, with SASL/PLAIN at most: what Tempo 3.0 itself speaks.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    ApiError,
    InvalidInput,
    PermissionDenied,
    ToolError,
    TracingError,
    Unreachable,
)
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Step
from ansible_collections.orion.tracing.plugins.module_utils.kafka.topic import (
    IN_SYNC,
    LARGEST,
    RETENTION,
    Cluster,
    Topic,
    WantedTopic,
)

CLIENT = "kafka-python"
LARGEST_OF_BROKER = "message.max.bytes"
# Warns each time when it sends username and password, for that is without TLS.
CREDENTIALS_LOGGER = "kafka.net.sasl.plain"


class _Failures(logging.Handler):
    """Keeps the errors that the client logs: while it connects, it retries until its time is up, and then raises an
    error that does not have the cause.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.seen: list[Exception] = []
        self._credentials_sent = False
        self.closed_after_credentials = False

    def emit(self, record: logging.LogRecord) -> None:
        found = [one for one in record.args if isinstance(one, Exception)] if isinstance(record.args, tuple) else []
        self.seen += found
        # A broker closes the connection together with its refusal. The client drops what it reads in one go with the
        # end of the connection, so there often is no other trace of a refusal.
        self._credentials_sent |= record.name == CREDENTIALS_LOGGER
        self.closed_after_credentials |= bool(found) and self._credentials_sent

    @classmethod
    @contextmanager
    def kept(cls) -> Iterator[_Failures]:
        logger, handler = logging.getLogger("kafka"), cls()
        logger.addHandler(handler)
        logger.propagate = False
        try:
            yield handler
        finally:
            logger.propagate = True
            logger.removeHandler(handler)


class Kafka:
    """Raises this collection's errors alone."""

    def __init__(self, admin: Any, address: str, timeout: float) -> None:
        self._admin, self.address, self._timeout_ms = admin, address, round(timeout * 1000)

    @classmethod
    @contextmanager
    def connected(cls, address: str, username: str, password: str, timeout: float) -> Iterator[Kafka]:
        """address: host:port of a broker. username: empty for none. timeout: of each request, in seconds.

        InvalidInput for an address that cannot be one, ToolError without the client, Unreachable and PermissionDenied
        as their names say.
        """
        host, _colon, port = address.rpartition(":")
        if not host or not port.isdecimal():
            raise InvalidInput(f"address is '{address}', not host:port", remedy="Write it as kafka.example.com:9092.")
        try:
            from kafka import KafkaAdminClient
        except ImportError as error:
            raise ToolError(
                f"{CLIENT} is missing", str(error), f"Install it where this module runs: pip install '{CLIENT}>=3'."
            ) from error
        # The client would try for its whole time, and its error would not tell why.
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=timeout).close()
        except OSError as error:
            inside = host.endswith((".svc", ".svc.cluster.local", ".cluster.local"))
            raise Unreachable(
                f"address: no broker answers at {address}",
                str(error),
                "Run this where the cluster's Services can be reached: brokers tell clients their own addresses, so a "
                "port-forward does not help."
                if inside
                else "Check the address, and that the broker listens there without TLS.",
            ) from error
        sasl = {
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "PLAIN",
            "sasl_plain_username": username,
            "sasl_plain_password": password,
        }
        milliseconds = round(timeout * 1000)
        with _Failures.kept() as failures, _errors(address, failures):
            admin = KafkaAdminClient(
                bootstrap_servers=[address],
                client_id="orion.tracing",
                request_timeout_ms=milliseconds,
                bootstrap_timeout_ms=milliseconds,
                **(sasl if username else {}),
            )
        try:
            yield cls(admin, address, timeout)
        finally:
            admin.close()

    def read(self, name: str, partly: bool = False) -> Cluster:
        """partly: without the topic's settings where they may not be read."""
        with _errors(self.address):
            brokers = [one["broker_id"] if "broker_id" in one else one["node_id"] for one in self._brokers()]
            there = name in self._admin.list_topics()
            topic = self._topic(name, partly) if there else None
            return Cluster(len(brokers), self._largest(brokers), topic)

    def _brokers(self) -> list[dict[str, Any]]:
        return list(self._admin.describe_cluster()["brokers"])

    def _topic(self, name: str, partly: bool) -> Topic:
        [found] = self._admin.describe_topics([name])
        partitions = found["partitions"]
        replicas = min((len(one.get("replica_nodes", one.get("replicas", ()))) for one in partitions), default=0)
        try:
            settings = self._configs("TOPIC", name, (RETENTION, LARGEST, IN_SYNC))
        except _authorization_errors():
            if not partly:
                raise
            settings = {}
        return Topic(len(partitions), replicas, settings)

    def _largest(self, brokers: list[int]) -> int:
        """The smallest message.max.bytes, 0 where it may not be read."""
        try:
            found = [self._configs("BROKER", str(one), (LARGEST_OF_BROKER,)) for one in brokers]
        except _authorization_errors():
            return 0
        return min((one[LARGEST_OF_BROKER] for one in found if LARGEST_OF_BROKER in one), default=0)

    def _configs(self, kind: str, name: str, keys: tuple[str, ...]) -> dict[str, int]:
        from kafka.admin import ConfigResource, ConfigResourceType

        resource = ConfigResource(ConfigResourceType[kind], name, configs=dict.fromkeys(keys, ""))
        answer = self._admin.describe_configs([resource], config_filter="all")
        found = next(iter(next(iter(answer.values())).values()))
        values = {key: one["value"] if isinstance(one, dict) else one for key, one in found.items() if key in keys}
        return {key: int(value) for key, value in values.items() if value not in (None, "")}

    def execute(self, step: Step, wanted: WantedTopic) -> None:
        from kafka.admin import ConfigResource, ConfigResourceType

        with _errors(self.address):
            if step.action == "create":
                new = {
                    "num_partitions": wanted.partitions,
                    "replication_factor": wanted.replication_factor,
                    "configs": {name: str(value) for name, value in step.data.items()},
                }
                self._admin.create_topics({wanted.name: new}, timeout_ms=self._timeout_ms, wait_for_metadata=True)
            elif step.action == "partitions":
                self._admin.create_partitions({wanted.name: step.data}, timeout_ms=self._timeout_ms)
            else:
                changes = {name: str(value) for name, value in step.data.items()}
                self._admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, wanted.name, configs=changes)])


def _authorization_errors() -> tuple[type[Exception], ...]:
    from kafka import errors

    return (errors.AuthorizationError,)


@contextmanager
def _errors(address: str, failures: _Failures | None = None) -> Iterator[None]:
    """failures: what the client met before it gave up."""
    from kafka import errors

    failures = failures or _Failures()
    try:
        yield
    except TracingError:
        raise
    except _authorization_errors() as error:
        raise PermissionDenied(
            f"username: the broker at {address} does not allow it",
            str(error),
            "Grant Describe, DescribeConfigs, Create, Alter and AlterConfigs on the topic and Describe on the cluster.",
        ) from error
    except (errors.KafkaConnectionError, errors.KafkaTimeoutError, errors.SaslAuthenticationFailedError) as error:
        refused = (errors.SaslAuthenticationFailedError, errors.UnsupportedSaslMechanismError)
        cause = next((str(one) for one in (error, *failures.seen) if isinstance(one, refused)), "")
        if not cause and failures.closed_after_credentials:
            cause = "It closed the connection when it had got them, without an answer that the client passed on."
        if cause:
            raise PermissionDenied(
                f"username: the broker at {address} refused the credentials",
                cause,
                "Check username and password, and that the listener takes SASL/PLAIN.",
            ) from error
        raise Unreachable(
            f"address: the broker at {address} does not answer as Kafka does",
            str(failures.seen[-1] if failures.seen else error) or type(error).__name__,
            "Check that it listens there without TLS, whether it needs username and password, and that the addresses "
            "that it advertises can be reached from here.",
        ) from error
    except errors.KafkaError as error:
        raise ApiError(f"the broker at {address} refused a request", str(error) or type(error).__name__) from error
