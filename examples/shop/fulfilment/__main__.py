# SPDX-FileCopyrightText: orion.tracing contributors
# SPDX-License-Identifier: Apache-2.0
"""Starts the fulfilment service."""

import logging
from contextlib import AsyncExitStack
from itertools import chain

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import CommitFailedError, KafkaConnectionError

from fulfilment.app import create_app
from fulfilment.messages import GROUP
from fulfilment.shipping import RETRY_TOPIC, TOPIC, Shipping
from fulfilment.store import Store
from service import serve, setting, wait_for

DATABASE, KAFKA = setting("DATABASE_URL"), setting("KAFKA_BOOTSTRAP_SERVERS")
LARGEST_BATCH = 100

logger = logging.getLogger("fulfilment")


async def create_topics() -> None:
    """Creates the topics that are missing: a consumer waits for minutes until it notices a new topic."""
    admin = AIOKafkaAdminClient(bootstrap_servers=KAFKA)
    await admin.start()
    try:
        # A topic that exists is an error in the answer, which is left alone.
        await admin.create_topics([NewTopic(topic, 1, 1) for topic in (TOPIC, RETRY_TOPIC)])
    finally:
        await admin.close()


async def consume() -> None:
    """Processes both topics until it is cancelled."""
    async with AsyncExitStack() as stack:
        store = Store(DATABASE)
        stack.push_async_callback(store.close)
        await store.open()
        await wait_for("Kafka", create_topics, KafkaConnectionError)
        producer = await stack.enter_async_context(AIOKafkaProducer(bootstrap_servers=KAFKA))
        # Committed after processing: a message is processed at least once.
        consumer = await stack.enter_async_context(
            AIOKafkaConsumer(
                TOPIC,
                RETRY_TOPIC,
                bootstrap_servers=KAFKA,
                group_id=GROUP,
                auto_offset_reset="earliest",
                enable_auto_commit=False,
                # That of Kafka's own clients. aiokafka's 10 s are soon over on a machine that does much else.
                session_timeout_ms=45_000,
            )
        )
        shipping = Shipping(store, producer)
        while True:
            # getmany alone would do, but the agent makes a trace of its own of each call that returns messages.
            first = await consumer.getone()
            others = await consumer.getmany(timeout_ms=0, max_records=LARGEST_BATCH - 1)
            await shipping.process([first, *chain.from_iterable(others.values())])
            try:
                await consumer.commit()
            except CommitFailedError as error:
                # The group took this member for dead. Its messages are delivered again, which the store allows for.
                logger.warning("processed, but not committed: %s", error)


serve(create_app(consume))
