# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import httpx
import pytest
from opentelemetry import baggage

from gateway.app import create_app

ORDER = {"sku": "book", "quantity": 2}


class Orders:
    """Stands for the orders service: keeps each request with the baggage in which it was made."""

    def __init__(self, answer):
        self.answer = answer
        self.requests = []
        self.tenants = []

    def __call__(self, request):
        self.requests.append(request)
        self.tenants.append(baggage.get_baggage("tenant.id"))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def gateway(spans, client):
    def start(answer):
        orders = Orders(answer)
        forwarding = httpx.AsyncClient(base_url="http://orders", transport=httpx.MockTransport(orders))
        return client(create_app(forwarding)), orders

    return start


@pytest.mark.parametrize("status", [201, 404, 409, 422])
def test_an_answer_below_500_is_passed_on(gateway, status):
    client, orders = gateway(httpx.Response(status, json={"id": "x"}))

    answer = client.post("/api/v1/orders", json=ORDER)

    assert (answer.status_code, answer.json()) == (status, {"id": "x"})
    (request,) = orders.requests
    assert (request.method, request.url, request.headers["content-type"]) == (
        "POST",
        "http://orders/orders",
        "application/json",
    )
    assert httpx.Response(200, content=request.content).json() == ORDER


@pytest.mark.parametrize(
    ("method", "path", "forwarded"),
    [
        ("POST", "/api/v1/orders/batch", "/orders/batch"),
        ("GET", "/api/v1/orders/00000000-0000-0000-0000-000000000001", "/orders/00000000-0000-0000-0000-000000000001"),
    ],
)
def test_each_route_goes_to_its_own(gateway, method, path, forwarded):
    client, orders = gateway(httpx.Response(200, json={}))

    assert client.request(method, path).status_code == 200
    assert [(request.method, request.url.path) for request in orders.requests] == [(method, forwarded)]


def test_an_id_that_is_not_one_does_not_reach_the_orders_service(gateway):
    client, orders = gateway(httpx.Response(200, json={}))

    assert client.get("/api/v1/orders/1").status_code == 422
    assert orders.requests == []


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_failure_of_the_orders_service_is_a_502(gateway, status):
    client, _one = gateway(httpx.Response(status, text="stack trace"))

    answer = client.post("/api/v1/orders", json=ORDER)

    assert (answer.status_code, answer.json()) == (502, {"detail": "the orders service failed"})


def test_without_an_answer_the_exception_is_on_the_span_of_the_request(gateway, spans, exception):
    client, _one = gateway(httpx.ConnectError("refused"))

    answer = client.post("/api/v1/orders", json=ORDER)

    assert (answer.status_code, answer.json()) == (502, {"detail": "the orders service does not answer"})
    assert exception(spans.request()) == "httpx.ConnectError: refused"


@pytest.mark.parametrize(
    ("headers", "tenant", "attribute"),
    [
        ({}, None, None),
        ({"x-tenant-id": "acme"}, "acme", "acme"),
        ({"baggage": "tenant.id=acme"}, "acme", None),  # the agent has copied it when the span began
        ({"baggage": "tenant.id=acme", "x-tenant-id": "other"}, "acme", None),
        ({"baggage": "user.id=7", "x-tenant-id": "acme"}, "acme", "acme"),
    ],
)
def test_the_tenant_of_a_request_that_comes_directly_is_in_the_baggage(gateway, spans, headers, tenant, attribute):
    client, orders = gateway(httpx.Response(201, json={}))

    client.post("/api/v1/orders", json=ORDER, headers=headers)

    assert orders.tenants == [tenant]
    assert spans.request().attributes.get("tenant.id") == attribute


@pytest.mark.parametrize("answer", [httpx.Response(500), httpx.ConnectError("refused")])
def test_the_answer_to_a_failed_request_is_sent_with_the_tenant_in_the_baggage(gateway, answer):
    client = gateway(answer)[0]
    app, tenants = client.app, []

    async def watched(scope, receive, send):
        async def watched_send(message):
            tenants.append(baggage.get_baggage("tenant.id"))
            await send(message)

        await app(scope, receive, watched_send)

    client._transport.app = watched
    assert client.post("/api/v1/orders", json=ORDER, headers={"x-tenant-id": "acme"}).status_code == 502
    assert tenants and set(tenants) == {"acme"}


def test_a_tenant_is_not_left_over_for_the_next_request(gateway):
    client, orders = gateway(httpx.Response(201, json={}))

    client.post("/api/v1/orders", json=ORDER, headers={"x-tenant-id": "acme"})
    client.post("/api/v1/orders", json=ORDER)

    assert orders.tenants == ["acme", None]


def test_health(gateway):
    client, orders = gateway(httpx.Response(500))

    assert client.get("/healthz").json() == {"status": "ok"}
    assert orders.requests == []
