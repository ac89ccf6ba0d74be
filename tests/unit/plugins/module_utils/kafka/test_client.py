# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is concluded from the words of the client. tests/unit/plugins/modules/test_kafka_topic.py has a real broker."""

from __future__ import annotations

import logging

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import PermissionDenied, Unreachable
from ansible_collections.orion.tracing.plugins.module_utils.kafka.client import _errors, _Failures
from kafka.errors import KafkaConnectionError, KafkaTimeoutError


def log_credentials() -> None:
    logging.getLogger("kafka.net.sasl.plain").warning("Sending username and password in the clear")


def log_disconnect() -> None:
    logging.getLogger("kafka.net.manager").warning("Connection to %s failed: %s", "b", KafkaConnectionError("closed"))


def test_a_connection_closed_upon_the_credentials_is_a_refusal() -> None:
    with (
        pytest.raises(PermissionDenied, match="refused the credentials"),
        _Failures.kept() as failures,
        _errors("b:1", failures),
    ):
        log_credentials()
        log_disconnect()
        raise KafkaTimeoutError("Unable to bootstrap")


def test_a_connection_closed_before_is_not() -> None:
    with (
        pytest.raises(Unreachable, match="does not answer as Kafka does"),
        _Failures.kept() as failures,
        _errors("b:1", failures),
    ):
        log_disconnect()
        raise KafkaTimeoutError("Unable to bootstrap")
