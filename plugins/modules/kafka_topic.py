#!/usr/bin/python
# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: a topic of Kafka."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kafka_topic
short_description: Make or check a topic of Kafka
version_added: 0.1.0
author:
  - orion.tracing contributors (@orion-tracing)
description:
  - Ensures that a topic exists with enough partitions, replicas, retention and room in a message, or checks that
    without a change. The defaults are what Tempo 3.0 needs of its topic.
  - Every figure is a minimum. What an existing topic has more of, stays.
  - The broker is reached from where the module runs, without TLS, in plain text or with SASL/PLAIN.
requirements:
  - kafka-python >= 3
extends_documentation_fragment:
  - orion.tracing.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  action_group:
    support: none
    description: Takes none of the connection options of the group.
    membership: []
options:
  address:
    description: A broker's address, C(host:port).
    type: str
    required: true
  username:
    description: User for SASL/PLAIN. Empty means no authentication.
    type: str
    default: ''
  password:
    description: The user's password.
    type: str
    default: ''
  name:
    description: Name of the topic.
    type: str
    required: true
  partitions:
    description: Number of partitions.
    type: int
    required: true
  replication_factor:
    description:
      - On how many brokers each partition is.
      - That of an existing topic cannot be changed; fewer replicas are an error.
    type: int
    default: 3
  min_insync_replicas:
    description: On how many brokers a record must be before it counts as written.
    type: int
    default: 2
  retention:
    description: How long records are kept, as a Go duration.
    type: str
    default: 24h
  max_message_bytes:
    description: Largest batch of records, in bytes. Tempo writes batches of up to 16000000 bytes.
    type: int
    default: 16000000
  timeout:
    description: How long to wait for an answer, in seconds.
    type: float
    default: 10
  state:
    description:
      - V(present) makes the topic, or changes it. V(checked) fails where it is missing or does not fit.
    type: str
    choices: [present, checked]
    default: present
"""

EXAMPLES = r"""
- name: The topic of Tempo 3
  orion.tracing.kafka_topic:
    address: kafka.example.com:9092
    name: tempo-traces
    partitions: 3

- name: Check the topic that somebody else manages
  orion.tracing.kafka_topic:
    address: kafka.example.com:9092
    username: tempo
    password: "{{ lookup('ansible.builtin.env', 'TEMPO_KAFKA_PASSWORD') }}"
    name: tempo-traces
    partitions: 3
    state: checked
"""

RETURN = r"""
steps:
  description: Names of the changes, in their order.
  returned: success
  type: list
  elements: str
  sample: [create topic tempo-traces]
topic:
  description: The topic as it is now, or would be.
  returned: success
  type: dict
  sample:
    partitions: 3
    replication_factor: 3
    configs: {max.message.bytes: 16000000, min.insync.replicas: 2, retention.ms: 86400000}
brokers:
  description: Number of brokers.
  returned: success
  type: int
  sample: 3
broker_max_message_bytes:
  description: The brokers' C(message.max.bytes), for topics without a figure of their own; 0 if it may not be read.
  returned: success
  type: int
  sample: 1048588
"""

from ansible_collections.orion.tracing.plugins.module_utils.common.plan import run_steps
from ansible_collections.orion.tracing.plugins.module_utils.kafka.client import Kafka
from ansible_collections.orion.tracing.plugins.module_utils.kafka.options import (
    ARGUMENTS,
    connection_of,
    plan_of,
    wanted_of,
)
from ansible_collections.orion.tracing.plugins.module_utils.module.base import TracingModule


def main() -> None:
    module = TracingModule(ARGUMENTS, kube=False, supports_check_mode=True, required_by={"password": ["username"]})
    with module.guard():
        wanted = wanted_of(module.params)
        with Kafka.connected(**connection_of(module.params)) as kafka:
            made = plan_of(module.params, wanted, kafka)
            if module.params["state"] == "present" and not module.check_mode:
                run_steps(made.steps, lambda step: kafka.execute(step, wanted))
    module.exit(made)


if __name__ == "__main__":
    main()
