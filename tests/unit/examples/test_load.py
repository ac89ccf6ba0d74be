# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice

import pytest

import load


@pytest.fixture
def storefront():
    """A storefront that answers as the shop does, and keeps the requests; `book` is answered with `status`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            kind = "batch" if self.path.endswith("/batch") else body["sku"]
            with lock:
                requests.append((self.path, self.headers["x-tenant-id"], body))
            if kind in held:
                held[kind].wait(10)
            self.send_response(statuses.get(kind, load.KINDS[kind]))
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *arguments):
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 200

    lock, requests, statuses, held = threading.Lock(), [], {}, {}
    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        server.url, server.requests, server.statuses = f"http://127.0.0.1:{server.server_port}/", requests, statuses
        server.held = held
        try:
            yield server
        finally:
            server.shutdown()


def test_the_same_seed_sends_the_same_requests():
    first, again, other = (list(islice(load.shots(seed, load.MIX, 3), 50)) for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_the_mix_is_kept():
    counts = Counter(shot.kind for shot in islice(load.shots(1, {"book": 3, "batch": 1}, 3), 4000))

    assert set(counts) == {"book", "batch"}
    assert 0.7 < counts["book"] / 4000 < 0.8


def test_a_batch_has_several_orders():
    sizes = {len(shot.body["orders"]) for shot in islice(load.shots(1, {"batch": 1}, 1), 200)}

    assert sizes == {2, 3, 4, 5}


def test_a_run_sends_each_kind_and_finds_its_status(storefront, capsys):
    assert load.main(["--url", storefront.url, "--rate", "500", "--count", "150", "--concurrency", "200"]) == 0

    paths = Counter(path for path, _one, _two in storefront.requests)
    assert sum(paths.values()) == 150
    assert set(paths) == {"/checkout", "/checkout/batch"}
    assert {tenant for _one, tenant, _two in storefront.requests} == {"tenant-1", "tenant-2", "tenant-3"}
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["kind", *load.KINDS]
    assert sum(int(line.split()[1]) for line in lines[1:]) == 150


def test_a_status_that_is_not_expected_is_counted_and_fails(storefront, capsys):
    storefront.statuses["book"] = 500
    assert load.main(["--url", storefront.url, "--rate", "1000", "--count", "5", "--mix", "book=1"]) == 1

    output = capsys.readouterr().out
    assert "500: 5" in output
    assert "5 answers with a status that their kind of request does not have" in output


def test_a_storefront_that_is_away_is_no_answer(storefront, capsys):
    storefront.server_close()
    storefront.shutdown()
    assert load.main(["--url", storefront.url, "--rate", "1000", "--count", "3", "--mix", "book=1"]) == 1

    assert "no answer: 3" in capsys.readouterr().out


def test_a_request_above_the_concurrency_is_skipped_and_counted(storefront, capsys):
    storefront.held["book"] = release = threading.Event()
    threading.Timer(0.5, release.set).start()
    arguments = ["--rate", "1000", "--count", "4", "--mix", "book=1", "--concurrency", "1"]
    assert load.main(["--url", storefront.url, *arguments]) == 0

    assert len(storefront.requests) == 1
    assert "3 requests were not sent" in capsys.readouterr().out


def test_it_ends_after_its_duration(storefront):
    assert load.main(["--url", storefront.url, "--rate", "100", "--duration", "0.1", "--mix", "book=1"]) == 0

    assert len(storefront.requests) == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mix", "car=1"], "'car=1' is not KIND=WEIGHT"),
        (["--mix", "book"], "'book' is not KIND=WEIGHT"),
        (["--mix", "book=-1"], "'book=-1' is not KIND=WEIGHT"),
        (["--mix", "book=0"], "all weights are 0"),
        (["--rate", "0"], "0 is not above 0"),
        (["--rate", "nan"], "nan is not above 0"),
        (["--count", "0"], "0 is not from 1 to 1000000"),
        (["--count", "1", "--duration", "1"], "not allowed with"),
        (["--url", "shop"], "--url is shop"),
    ],
)
def test_wrong_arguments_are_named(capsys, arguments, message):
    with pytest.raises(SystemExit) as error:
        load.parse(arguments)

    assert error.value.code == 2
    assert message in capsys.readouterr().err


def test_without_an_end_it_is_a_minute():
    assert load.parse([]).duration == 60
