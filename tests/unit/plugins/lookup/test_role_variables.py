# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lookup role_variables, with Ansible's own templating engine and the collection's roles."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ansible_collections
import pytest

SECRET = "not-to-be-shown"
# A process of its own, since Ansible's loader of collections replaces Python's. It answers a line for each line.
PROCESS = """
import json, sys
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader, lookup_loader
from ansible.template import Templar, trust_as_template
init_plugin_loader(sys.argv[1:])
for line in sys.stdin:
    terms, variables, trusted = json.loads(line)
    if trusted:
        variables = {n: trust_as_template(v) if isinstance(v, str) else v for n, v in variables.items()}
    loader = DataLoader()
    templar = Templar(loader=loader, variables=variables)
    plugin = lookup_loader.get("orion.tracing.role_variables", loader=loader, templar=templar)
    try:
        answer = {"found": plugin.run(terms, variables=templar.available_variables)}
    except AnsibleError as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
"""


class Lookup:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def ask(self, terms: tuple[str, ...], variables: dict[str, Any], trusted: bool) -> Any:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps([terms, variables, trusted]) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def __call__(self, *terms: str, trusted: bool = True, **variables: Any) -> dict[str, Any]:
        (found,) = self.ask(terms, variables, trusted)["found"]
        return found

    def errors(self, *terms: str, **variables: Any) -> str:
        return self.ask(terms, variables, True)["error"]


def processes() -> Iterator[Lookup]:
    """A lookup while it is not asked for the next, of which there is none."""
    first, *_others = ansible_collections.__path__
    folder = Path(first).parent
    with subprocess.Popen(
        [sys.executable, "-c", PROCESS, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Lookup(process)
        process.stdin.close()


@pytest.fixture(scope="module")
def lookup() -> Iterator[Lookup]:
    yield from processes()


def test_values_have_the_types_of_the_spec_and_templates_are_evaluated(lookup: Lookup) -> None:
    found = lookup(
        "collector",
        collector_gateway_replicas="2",
        collector_sampling_percentage="{{ 2 + 3 }}",
        collector_zipkin_enabled="no",
        collector_dropped_routes="/a,/b",
        tracing_cluster_name="lab",
        collector_exporters=[{"name": "vendor", "protocol": "http", "share": "50"}],
    )
    assert found["collector_gateway_replicas"] == 2 and found["collector_zipkin_enabled"] is False
    assert isinstance(found["collector_sampling_percentage"], float) and found["collector_sampling_percentage"] == 5
    assert found["collector_dropped_routes"] == ["/a", "/b"]
    # Keys that the entry does not have are not added.
    assert found["collector_exporters"] == [{"name": "vendor", "protocol": "http", "share": 50.0}]
    # Defaults are templates, some of them of variables that all roles share, and of the role's own folder.
    assert found["collector_resource_attributes"]["k8s.cluster.name"] == "lab"
    assert found["collector_chart_ref"].endswith("roles/collector/files/chart")
    assert found["tracing_expected_traces_per_second"] == 1000 and found["tracing_kubeconfig"] is None
    assert not [name for name in found if name.startswith(("tempo_", "simulate_"))]


def test_a_default_that_is_a_variable_of_another_role(lookup: Lookup) -> None:
    given = {"object_storage_bucket": "orion-traces", "object_storage_secret_key": SECRET}
    found = lookup("verify", **given)
    assert (found["verify_bucket"], found["verify_secret_key"]) == ("orion-traces", SECRET)
    assert lookup("verify", tracing_store="otlp", **given)["verify_bucket"] == ""
    recording = {"name": "r", "protocol": "s3", "prefix": "kept"}
    found = lookup("verify", collector_exporters=[recording], **given)
    assert (found["verify_recordings_bucket"], found["verify_recordings_prefix"]) == ("orion-traces", "kept")


def test_single_variables_come_without_their_role(lookup: Lookup) -> None:
    found = lookup("object_storage_region", "collector_max_total_spans_per_second", tracing_region="eu-west-1")
    assert found == {"object_storage_region": "eu-west-1", "collector_max_total_spans_per_second": 0}
    assert "tempo_s4_bucket is neither a role" in lookup.errors("tempo_s4_bucket")
    assert "nothing is neither a role" in lookup.errors("nothing")


def test_an_entry_point_has_its_own_variables(lookup: Lookup) -> None:
    found = lookup("preflight.plan", plan_queries_per_day="10")
    assert (found["plan_queries_per_day"], found["plan_stored_bytes_per_byte"], found["plan_prices"]) == (10, 0.5, {})
    assert "replay_path: is not set. Set it to a file of recorded traces" in lookup.errors("verify.replay")
    assert "has no entry point nowhere. It has main, scale_samplers, simulate" in lookup.errors("collector.nowhere")


def test_every_error_is_listed(lookup: Lookup) -> None:
    text = lookup.errors(
        "collector",
        collector_gateway_replicas="two",
        collector_sampler_replicas=True,
        collector_image_tag=2.10,
        collector_num_traces=1.5,
        collector_resource_detectors={"env": 1},
        collector_critical_routes=["/a", {"b": "c"}],
        collector_tempo_endpoint="{{ nowhere_defined }}",
        collector_exporters=[{"name": "a"}, {"name": "b", "protocol": "smoke"}],
        collector_tolerations=None,
        tracing_store="nowhere",
        collector_sampling_percent=5,
        collector_sampling_percentag=5,
        tracing_prov="always",
    )
    assert text.count("\n") == 14, text
    for part in (
        "the variables of collector are wrong: 14 errors:",
        "collector_gateway_replicas: is 'two', which is not a whole number. Give a whole number.",
        "collector_sampler_replicas: is True, not a number.",
        "collector_image_tag: is the number 2.1, not a string: YAML does not keep what was written. Quote it: "
        'collector_image_tag: "2.1".',
        "collector_num_traces: is 1.5, which is not a whole number.",
        "collector_resource_detectors: is {'env': 1}, which is not a list.",
        "collector_critical_routes[1]: is a mapping, not a string.",
        "collector_tempo_endpoint: cannot be evaluated: 'nowhere_defined' is undefined.",
        "missing required arguments: protocol found in collector_exporters",
        "must be one of: grpc, http, xray, s3, kafka, got: smoke found in collector_exporters",
        "collector_tolerations: is None, which is not a list. Write it as [a, b].",
        "tracing_store: is 'nowhere', which is not one of its choices. Choose from tempo, otlp.",
        *(
            f"{name}: is not a variable of this collection; did you mean collector_sampling_percentage?"
            for name in ("collector_sampling_percent", "collector_sampling_percentag")
        ),
        "tracing_prov: is not a variable of this collection; did you mean tracing_prove?",
    ):
        assert part in text, text


def test_variables_of_other_roles_and_collections_are_let_be(lookup: Lookup) -> None:
    assert lookup("collector", tempo_retnetion="1h", grafana_version="12", simulate_path="x", local_x=1)
    # Entry points belong to their role.
    assert "simulate_fiel: is not a variable" in lookup.errors("collector", simulate_fiel="x")
    assert "tempo_retnetion" in lookup.errors("tempo", tempo_retnetion="1h")


def test_artefacts_of_an_earlier_job_of_a_workflow_are_not_misspelt_variables(lookup: Lookup) -> None:
    assert lookup("tempo", tracing_plan={"hosts": {}}, tracing_status={"ok": True})
    assert "tracing_plans: is not a variable" in lookup.errors("tempo", tracing_plans={})


def test_a_secret_is_in_no_error(lookup: Lookup) -> None:
    text = lookup.errors("object_storage", object_storage_secret_key=[SECRET], object_storage_bucket=["x"])
    assert "object_storage_secret_key: is a list, not a string." in text and SECRET not in text
    template = f"{{{{ nowhere_defined ~ '{SECRET}' }}}}"
    text = lookup.errors("object_storage", object_storage_secret_key=template)
    assert "object_storage_secret_key: cannot be evaluated" in text and SECRET not in text


def test_text_that_is_not_trusted_is_no_template(lookup: Lookup) -> None:
    found = lookup("collector", trusted=False, collector_priority_class_name="{{ 1 + 1 }}")
    assert found["collector_priority_class_name"] == "{{ 1 + 1 }}"
