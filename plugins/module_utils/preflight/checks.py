# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Everything that can be known to fail before anything changes. Pure: variables and facts in, findings out.

Facts are gathered by facts.py. A check says nothing about a variable that is not there, so that any subset of
the roles can be checked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.orion.tracing.plugins.module_utils.collector import config as collector
from ansible_collections.orion.tracing.plugins.module_utils.collector.edges import references
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    PermissionDenied,
    TracingError,
    Unreachable,
)
from ansible_collections.orion.tracing.plugins.module_utils.common.mappings import inside
from ansible_collections.orion.tracing.plugins.module_utils.grafana import content
from ansible_collections.orion.tracing.plugins.module_utils.grafana import datasources as grafana
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation import modes
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation import variables as instrumentation
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.cluster import Modes, Snapshot
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.workloads import (
    WorkloadSettings,
    entries,
    examine,
)
from ansible_collections.orion.tracing.plugins.module_utils.inventory import images
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import (
    ERROR,
    Finding,
    Place,
    error,
    errors,
    numbered,
    warning,
)
from ansible_collections.orion.tracing.plugins.module_utils.inventory.variables import (
    Reader,
    boolean,
    integer,
    listing,
    number,
    usable,
)
from ansible_collections.orion.tracing.plugins.module_utils.linter.variables import lint_variables
from ansible_collections.orion.tracing.plugins.module_utils.platform.admission import KIND as ADMISSION_KIND
from ansible_collections.orion.tracing.plugins.module_utils.platform.versions import (
    JAEGER,
    MIN_KUBERNETES,
    dotted,
    minor,
)
from ansible_collections.orion.tracing.plugins.module_utils.preflight import grafana as running_grafana
from ansible_collections.orion.tracing.plugins.module_utils.preflight import kafka as running_kafka
from ansible_collections.orion.tracing.plugins.module_utils.preflight import rights
from ansible_collections.orion.tracing.plugins.module_utils.preflight.rights import Right
from ansible_collections.orion.tracing.plugins.module_utils.preflight.store import contradictions_of_store
from ansible_collections.orion.tracing.plugins.module_utils.proof import variables as periodic_probe
from ansible_collections.orion.tracing.plugins.module_utils.proof.options import NONE
from ansible_collections.orion.tracing.plugins.module_utils.proof.probe import MIN_PLAIN
from ansible_collections.orion.tracing.plugins.module_utils.s3 import names
from ansible_collections.orion.tracing.plugins.module_utils.s3.aws import is_aws, region_of_host
from ansible_collections.orion.tracing.plugins.module_utils.s3.client import CREDENTIALS_REFUSED
from ansible_collections.orion.tracing.plugins.module_utils.store.readers import READERS
from ansible_collections.orion.tracing.plugins.module_utils.tempo import settings as tempo
from ansible_collections.orion.tracing.plugins.module_utils.tempo.installed import InstalledTempo, changes_refused
from ansible_collections.orion.tracing.plugins.module_utils.tempo.retention import contradictions, emptied

# How urllib3 introduces what the socket said.
CONNECTION = re.compile(r"HTTPS?Connection(Pool)?\([^)]*\): ")
S3_OPTION = re.compile(r"\b(?:option )?(endpoint_url|access_key|secret_key|session_token|ca_bundle)\b")
# Durations that no builder reads.
DURATIONS = (
    "tracing_retention",
    "tempo_wait_timeout",
    "collector_wait_timeout",
    "object_storage_expiry_margin",
    "verify_timeout",
    "verify_prometheus_last",
)
# Of servers that the proof's report links to or asks.
REPORT_URLS = ("verify_grafana_url", "verify_logs_url", "verify_prometheus_url")
URLS = ("tempo_metrics_generator_remote_write_url", "object_storage_endpoint_url", *REPORT_URLS)
SECRET_KEYS = {
    "tempo_s3_credentials_secret": ("access_key", "secret_key"),
    "tempo_s3_ca_secret": ("ca.crt",),
    "tempo_kafka_sasl_secret": ("username", "password"),
}
# Lists of Secrets with registry credentials, and the key that such a Secret has, by its type.
# Source: https://kubernetes.io/docs/concepts/configuration/secret/#docker-config-secrets
IMAGE_ROLES = ("tempo", "collector", "verify_probe", "local_backends", "local_demo")
PULL_SECRETS = (
    images.PULL_SECRETS,
    "tempo_image_pull_secrets",
    "collector_image_pull_secrets",
    "verify_probe_image_pull_secrets",
)
PULL_SECRET_KEYS = {".dockerconfigjson", ".dockercfg"}
IMAGE = re.compile(r"(\w+)_image_(?:repository|tag|digest)")

Variables = Mapping[str, Any]


@dataclass(frozen=True)
class Facts:
    """What was found out there; the defaults mean "not looked at", and no check says anything about them.

    namespace_phase: "" for a namespace that does not exist; pod_security: the level that it enforces.
    storage_classes: name → whether it is the default; None where they may not be listed. absent: namespaces of
    rights.namespaces that do not exist. denied: the rights that the credentials lack.
    secrets: name → keys, None for one that does not exist; what may not be read is in unreadable instead.
    api_server, origin: the URL, and the variables of the environment that chose it, "" for none (Kube.origin).
    modes: what can instrument pods; None where that was not asked. workloads: all that the cluster has, where some are
    to be instrumented. owners: of those, as rollout.owners has them.
    bucket_exists: None where the store was not asked, or did not say (then s3_error tells why).
    kafka: what the brokers say; None where Tempo does without.
    tempo: the one that is installed; None where there is none, or its record may not be read. tempo_before: that of the
    usual name, where tempo_release_name is another one.
    grafana: what the Grafana that is to be provisioned says, and what of it is in the cluster.
    """

    api_server: str = ""
    origin: str = ""
    kubernetes_version: str = ""
    cluster_error: TracingError | None = None
    namespace_phase: str = ""
    pod_security: str = ""
    storage_classes: Mapping[str, bool] | None = None
    absent: tuple[str, ...] = ()
    denied: tuple[Right, ...] = ()
    secrets: Mapping[str, list[str] | None] = field(default_factory=dict)
    unreadable: tuple[str, ...] = ()
    modes: Modes | None = None
    workloads: Snapshot | None = None
    owners: Mapping[tuple[str, str, str], str] = field(default_factory=dict)
    kafka: running_kafka.KafkaFacts | None = None
    tempo: InstalledTempo | None = None
    tempo_before: InstalledTempo | None = None
    helm_version: str = ""
    helm_error: TracingError | None = None
    bucket_exists: bool | None = None
    bucket_region: str = ""
    s3_error: TracingError | None = None
    grafana: running_grafana.GrafanaFacts = running_grafana.NOTHING

    @property
    def default_storage_class(self) -> str:
        return next((name for name, default in (self.storage_classes or {}).items() if default), "")


NOTHING_ASKED = Facts()


# Values: None, False or [] where there is none, or none that can be read; the check of that variable says so.


def flag(v: Variables, name: str) -> bool:
    return usable(False, boolean, v.get(name))


def figure(v: Variables, name: str) -> float | None:
    return usable(None, number, v.get(name))


def items(v: Variables, name: str) -> list[Any]:
    return usable([], listing, v.get(name))


def named_secrets(v: Variables, variable: str) -> list[str]:
    """Names of Secrets in a list, as far as they can be such."""
    return [name for name in items(v, variable) if isinstance(name, str) and images.OBJECT_NAME.fullmatch(name)]


def text(v: Variables, name: str) -> str:
    value = v.get(name)
    return "" if value is None else str(value)


def managed(v: Variables) -> bool:
    """Whether the object_storage role makes the bucket."""
    return "object_storage_bucket" in v and flag({"object_storage_manage": True, **v}, "object_storage_manage")


def uses_bucket(v: Variables) -> bool:
    """Whether anything of this host makes the bucket or writes to it. An edge may have its name from a group of all
    hosts alone."""
    exporters = v.get("collector_exporters")
    recorded = isinstance(exporters, list) and any(
        isinstance(one, Mapping)
        and one.get("protocol") == "s3"
        and (one.get("bucket") or v.get("object_storage_bucket")) == v.get("object_storage_bucket")
        for one in exporters
    )
    return managed(v) or recorded or (text(v, "tracing_store") or "tempo") == "tempo"


# Checks of variables.


def durations(v: Variables) -> Iterator[Finding]:
    read = Reader(v)
    for name in DURATIONS:
        if name in v:
            read.duration(name, positive=True)
    yield from read.findings


def s3_endpoint(v: Variables) -> Iterator[Finding]:
    """What contradicts the endpoint; its form is the tempo role's to check."""
    endpoint = text(v, "tempo_s3_endpoint")
    bare = re.sub(r"^\w+://", "", endpoint).split("/")[0]
    if not tempo.ENDPOINT.fullmatch(bare):
        return
    found = region_of_host(bare.partition(":")[0])
    region = text(v, "tempo_s3_region")
    if found and region and found != region:
        yield error(
            "tempo_s3_region", f"is {region}, not the region of tempo_s3_endpoint {bare}", f"Set it to {found}."
        )
    if not is_aws(f"https://{bare}") and not text(v, "tempo_s3_credentials_secret"):
        yield warning(
            "tempo_s3_credentials_secret",
            f"is empty, so Tempo would ask AWS for credentials, but {bare} is not AWS",
            "Name a Secret with the keys access_key and secret_key.",
        )


def one_store(v: Variables) -> Iterator[Finding]:
    """One S3 store for all that use the bucket."""
    yield from contradictions_of_store(v, managed(v))


def buckets(v: Variables) -> Iterator[Finding]:
    seen = set()
    for name in ("object_storage_bucket", "tempo_s3_bucket"):
        bucket = text(v, name)
        # Where the store is somebody else's affair, only the name that Tempo uses matters.
        if name not in v or bucket in seen or (name == "object_storage_bucket" and not managed(v)):
            continue
        seen.add(bucket)
        if not bucket:
            yield error(name, "no bucket is named", "Set object_storage_bucket to a name of 3 to 63 characters.")
        elif wrong := names.problem(bucket):
            yield error(name, f"'{bucket}' cannot be a bucket: {wrong}", "Choose another name.")
    if managed(v) and "tempo_s3_bucket" in v and len(seen) == 2:
        yield warning(
            "tempo_s3_bucket",
            f"Tempo uses {text(v, 'tempo_s3_bucket')}, but object_storage_bucket is {text(v, 'object_storage_bucket')}",
            "Leave tempo_s3_bucket unset, or set object_storage_manage: false.",
        )


def transport(v: Variables) -> Iterator[Finding]:
    if not managed(v) or not flag(v, "object_storage_tls_only"):
        return
    url = text(v, "object_storage_endpoint_url")
    if url.lower().startswith("http://"):
        yield error(
            "object_storage_tls_only",
            f"true, but object_storage_endpoint_url {url} is plain HTTP, which the bucket's policy would refuse",
            "Use an https:// endpoint, or set object_storage_tls_only: false.",
        )
    if flag(v, "tempo_s3_insecure"):
        yield error(
            "tempo_s3_insecure",
            "true, but with object_storage_tls_only the bucket's policy refuses plain HTTP",
            "Set tempo_s3_insecure: false, or object_storage_tls_only: false.",
        )


def regions(v: Variables) -> Iterator[Finding]:
    if not managed(v) or not is_aws(text(v, "object_storage_endpoint_url")):
        return
    made, used = text(v, "object_storage_region"), text(v, "tempo_s3_region")
    if made and used and made != used:
        yield error(
            "tempo_s3_region", f"{used}, but the bucket is made in object_storage_region {made}", "Set both to one."
        )


def urls(v: Variables) -> Iterator[Finding]:
    for name in URLS:
        value = text(v, name)
        parts = usable(urlsplit(""), urlsplit, value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname):
            yield error(name, f"'{value}' is not a URL", "Begin it with http:// or https://.")
        elif name in REPORT_URLS and (parts.username or parts.password):
            yield error(name, "has credentials in it", "Leave them out.", "the report and messages would show them")


def container_images(v: Variables) -> Iterator[Finding]:
    """Images of every role whose variables are there, and the versions that configurations are for."""
    for prefix in sorted({match[1] for name in v if (match := IMAGE.fullmatch(name))} or {""}):
        yield from images.problems(v, prefix)
    for role in IMAGE_ROLES:
        yield from images.pull_secret_problems(v, role)
    name = "local_backends_jaeger_image_tag"
    version = images.tagged_version(v.get(name))
    if version and version[0] < minor(JAEGER)[0]:
        yield error(
            name,
            f"is {v[name]}, but the role's configuration is that of Jaeger {dotted(minor(JAEGER))}",
            f"Use a tag of Jaeger 2, such as {JAEGER}.",
            "Jaeger 1 has neither a configuration file nor OpenTelemetry Collector components",
        )


def tenants(v: Variables) -> Iterator[Finding]:
    """Tempo with multitenancy refuses spans and queries without a tenant."""
    if not tempo.multitenancy(v):
        return
    place = Place("tempo_extra_config").key("multitenancy_enabled")
    if "collector_tempo_endpoint" in v and (text(v, "tracing_store") or "tempo") == "tempo":
        yield error(
            place,
            "is true, but the samplers send Tempo no tenant",
            "Leave it out, or set tracing_store: otlp and name Tempo in collector_exporters with its tenant.",
            "Tempo refuses spans without the header X-Scope-OrgID",
        )
    else:
        yield warning(
            place,
            "is true",
            "Give every client of Tempo the header X-Scope-OrgID, Grafana's data source too.",
            "Tempo refuses spans and queries without a tenant",
        )
    if (
        text(v, "grafana_tempo_url")
        and text(v, "grafana_provisioning") == grafana.SIDECAR
        and not inside(v.get("grafana_tenant_variables"), "tempo")
    ):
        yield error(
            Place("grafana_tenant_variables").key("tempo"),
            "is not set, but tempo_extra_config has multitenancy_enabled",
            "Name a variable of Grafana's container that holds the tenant, filled from a Secret.",
            "Tempo would answer every query of Grafana with 'no org id'",
        )


def store_reader(v: Variables) -> Iterator[Finding]:
    """Whether traces can be read back where they go."""
    store, reader = text(v, "tracing_store") or "tempo", text(v, "tracing_store_reader")
    if "tracing_store_reader" not in v:
        return
    if reader not in (*READERS, NONE):
        yield error("tracing_store_reader", f"'{reader}' is not a choice", f"Choose {', '.join((*READERS, NONE))}.")
    elif store == "tempo" and reader == "jaeger":
        yield error(
            "tracing_store_reader",
            "jaeger, but tracing_store is tempo, which does not answer Jaeger's API",
            "Leave tracing_store_reader unset, or set tracing_store: otlp if kept traces go to Jaeger.",
        )
    elif store == "otlp" and reader != NONE and not text(v, "tracing_store_service"):
        yield error(
            "tracing_store_service",
            f"empty, but tracing_store is otlp and tracing_store_reader is {reader}, so it is not known where to ask",
            "Name the Service of its query API (tracing_store_namespace, tracing_store_port), or set "
            "tracing_store_reader: none.",
        )


def red_metrics(v: Variables) -> Iterator[Finding]:
    """Two sources of the same series make every rate wrong."""
    if flag(v, "tempo_metrics_generator_enabled") and text(v, "collector_remote_write_url"):
        yield error(
            "tempo_metrics_generator_enabled",
            "true, but collector_remote_write_url makes the collectors compute the same RED metrics",
            "Set tempo_metrics_generator_enabled: false (the collectors count unsampled traces), or empty the URL.",
        )


def collectors(v: Variables) -> Iterator[Finding]:
    """What the collector role refuses, and what the linter finds: policies, and whether the samplers can hold the load.

    Of a rule that both have, the linter's finding is kept, which has the more exact place. The role shows its own
    warnings when it runs.
    """
    linted = list(_linted(v))
    for finding in errors(collector.findings(v)):
        if not any(_same_rule(finding, other) for other in linted):
            yield finding
    yield from linted


def _same_rule(finding: Finding, other: Finding) -> bool:
    same = finding.code and (finding.code, finding.variable) == (other.code, other.variable)
    return bool(same) and other.path.startswith(finding.path)


def _linted(v: Variables) -> Iterator[Finding]:
    if usable(0, integer, v.get("collector_num_traces")) < 1:
        return
    yield from lint_variables(v)


def expiry(v: Variables) -> Iterator[Finding]:
    """The store must not delete what Tempo still reads. Tempo deletes blocks itself, after its retention."""
    yield from contradictions(v) if managed(v) else emptied(v)
    if not managed(v):
        return
    tidied = any(
        isinstance(rule, Mapping) and "NoncurrentVersionExpiration" in rule
        for rule in items(v, "object_storage_lifecycle_rules")
    )
    if flag(v, "object_storage_versioning") and not figure(v, "object_storage_expiry_days") and not tidied:
        yield warning(
            "object_storage_versioning",
            "true, but nothing removes old versions, so the bucket keeps all that Tempo deletes",
            "Add a rule with NoncurrentVersionExpiration to object_storage_lifecycle_rules.",
        )


# Checks of facts.


def cluster(v: Variables, facts: Facts) -> Iterator[Finding]:
    if facts.cluster_error:
        problem, remedy = _halves(facts.cluster_error)
        yield error("tracing_kubeconfig", problem, remedy)
    version = re.match(r"v?(\d+)\.(\d+)", facts.kubernetes_version)
    if version and (int(version[1]), int(version[2])) < MIN_KUBERNETES:
        oldest = dotted(MIN_KUBERNETES)
        yield error(
            "tracing_kubeconfig",
            f"the cluster runs Kubernetes {facts.kubernetes_version}, but {oldest} is the oldest supported version",
            "Upgrade the cluster, or name another one.",
        )
    if facts.namespace_phase == "Terminating":
        yield error(
            "tracing_namespace",
            f"namespace {text(v, 'tracing_namespace')} is being deleted",
            "Wait until it is gone (kubectl get namespace), or name another one.",
        )


def permissions(_v: Variables, facts: Facts) -> Iterator[Finding]:
    yield from rights.findings(facts.denied, facts.absent)


def storage_class(v: Variables, facts: Facts) -> Iterator[Finding]:
    kafka = text(v, "tempo_profile") == "kafka"
    yield from _storage_class(f"tempo_{'live_store' if kafka else 'ingester'}_storage_class", v, facts)
    if flag(v, "collector_persistent_queue_enabled"):
        yield from _storage_class("collector_persistent_queue_storage_class", v, facts)


def _storage_class(name: str, v: Variables, facts: Facts) -> Iterator[Finding]:
    if name not in v or not facts.kubernetes_version:
        return
    wanted, classes = text(v, name), facts.storage_classes
    if classes is None:
        return  # the finding about that right says so
    if wanted and wanted not in classes:
        there = ", ".join(sorted(classes)) or "none"
        yield error(name, f"the cluster has no StorageClass {wanted}", f"Name one that it has: {there}.")
    elif not wanted and not facts.default_storage_class:
        there = ", ".join(sorted(classes)) or "none"
        yield error(name, "empty, but the cluster has no default StorageClass", f"Name one that it has: {there}.")


def secret_references(v: Variables) -> dict[str, list[tuple[Place, str]]]:
    """The Secrets in tracing_namespace that variables name: name → (place, key) of each key that is needed."""
    found: dict[str, list[tuple[Place, str]]] = {}
    for name, keys in SECRET_KEYS.items():
        if secret := text(v, name):
            found.setdefault(secret, []).extend((Place(name), key) for key in keys)
    for one in references(v):
        found.setdefault(one.secret, []).append((one.place, one.key))
    return found


def secrets(v: Variables, facts: Facts) -> Iterator[Finding]:
    namespace = text(v, "tracing_namespace")
    for secret, wanted in secret_references(v).items():
        first = wanted[0][0]
        if secret in facts.unreadable:
            yield warning(first, f"Secret {secret} may not be read with these credentials, so it was not checked")
        elif secret in facts.secrets:
            there = facts.secrets[secret]
            if there is None:
                literals = " ".join(f"--from-file={key}=…" for key in dict.fromkeys(key for _name, key in wanted))
                yield error(
                    first,
                    f"there is no Secret {secret} in namespace {namespace}",
                    f"Create it: kubectl -n {namespace} create secret generic {secret} {literals}",
                )
                continue
            missing: dict[Place, list[str]] = {}
            for name, key in wanted:
                if key not in there:
                    missing.setdefault(name, []).append(key)
            for name, keys in missing.items():
                yield error(
                    name,
                    f"Secret {secret} in namespace {namespace} lacks {' and '.join(keys)}",
                    f"Add what is missing; it has {', '.join(sorted(there)) or 'no keys'}.",
                )


def pull_secrets(v: Variables, facts: Facts) -> Iterator[Finding]:
    namespace = text(v, "tracing_namespace")
    for variable in PULL_SECRETS:
        for secret in named_secrets(v, variable):
            create = f"kubectl -n {namespace} create secret docker-registry {secret} --docker-server=…"
            there = facts.secrets.get(secret)
            if secret in facts.unreadable:
                yield warning(
                    variable, f"Secret {secret} may not be read with these credentials, so it was not checked"
                )
            elif secret not in facts.secrets:
                continue
            elif there is None and not facts.namespace_phase:
                yield warning(
                    variable,
                    f"neither namespace {namespace} nor Secret {secret} in it is there to be seen: images will be "
                    "pulled without these credentials",
                    f"Create both before the run: kubectl create namespace {namespace}; {create}",
                )
            elif there is None:
                yield error(variable, f"there is no Secret {secret} in namespace {namespace}", f"Create it: {create}")
            elif not PULL_SECRET_KEYS & set(there):
                yield error(
                    variable,
                    f"Secret {secret} in namespace {namespace} is not for a registry: it lacks .dockerconfigjson",
                    f"Create one of that kind: {create}",
                )


def instrumentation_apis(v: Variables, facts: Facts) -> Iterator[Finding]:
    """Whether the cluster can instrument pods, policies that Helm would not let the role replace, and workloads."""
    if facts.modes is None or not flag(v, "instrumentation_enabled"):
        return
    mode, serves = modes.of_variables(v), facts.modes.serves
    unserved = modes.findings(mode, serves)
    yield from unserved
    mode = modes.resolved(mode, serves)
    if mode == modes.POLICY:
        yield from _foreign_policies(v, facts.modes)
    if facts.workloads is not None and not errors(unserved):
        name = "instrumentation_workloads"
        listed, wrong = entries(v.get(name), name)
        # With errors in the list itself, which instrumentation.findings has, some of its items are missing here.
        if not wrong:
            yield from examine(listed, facts.workloads, WorkloadSettings(mode, v), facts.owners)


def _foreign_policies(v: Variables, there: Modes) -> Iterator[Finding]:
    namespace, languages = text(v, "tracing_namespace"), items(v, "instrumentation_languages")
    for policy in there.policies:
        if policy.language in languages and policy.release != f"{namespace}/instrumentation":
            yield error(
                "instrumentation_languages",
                f"{ADMISSION_KIND} {policy.name} exists, but does not belong to the Helm release "
                f"instrumentation in namespace {namespace}",
                f"Remove it (kubectl delete mutatingadmissionpolicy {policy.name}), or take {policy.language} out.",
                "Helm does not replace what somebody else made",
            )


def installed_tempo(v: Variables, facts: Facts) -> Iterator[Finding]:
    yield from changes_refused(v, facts.tempo, facts.tempo_before)


def brokers(v: Variables, facts: Facts) -> Iterator[Finding]:
    yield from running_kafka.findings(v, facts.kafka)


def helm(v: Variables, facts: Facts) -> Iterator[Finding]:
    if facts.helm_error:
        problem, remedy = _halves(facts.helm_error)
        yield error("tracing_helm_binary", problem, remedy)


def store(v: Variables, facts: Facts) -> Iterator[Finding]:
    bucket = text(v, "object_storage_bucket")
    if facts.s3_error:
        # The client speaks of its options; each has a variable of the same name.
        problem, remedy = (S3_OPTION.sub(r"object_storage_\1", half) for half in _halves(facts.s3_error))
        status, code = (facts.s3_error.details.get(key) for key in ("status", "code"))
        variable = "object_storage_bucket"
        if isinstance(facts.s3_error, Unreachable):
            variable = "object_storage_endpoint_url"
        elif isinstance(facts.s3_error, PermissionDenied) and not status:
            variable = "object_storage_access_key"
        elif isinstance(facts.s3_error, PermissionDenied):
            lacking = "credentials are wrong" if code in CREDENTIALS_REFUSED else "permission is missing"
            problem = f"{bucket} cannot be used ({status}), {lacking}: {problem}"
        # Where somebody else makes the bucket, this machine may well be without a way to it.
        yield (error if managed(v) else warning)(variable, problem, remedy)
    elif facts.bucket_exists is False and not managed(v):
        yield error(
            "object_storage_bucket",
            f"there is no bucket {bucket}, and object_storage_manage is false",
            "Create it, or set object_storage_manage: true.",
        )
    if facts.bucket_exists and facts.bucket_region and is_aws(text(v, "object_storage_endpoint_url")):
        for name in ("object_storage_region", "tempo_s3_region"):
            used = text(v, name)
            if used and used != facts.bucket_region:
                yield error(name, f"{used}, but bucket {bucket} is in {facts.bucket_region}", "Set it to that.")


def provisioned_grafana(v: Variables, facts: Facts) -> Iterator[Finding]:
    yield from running_grafana.findings(v, facts.grafana)


def _halves(problem: TracingError) -> tuple[str, str]:
    what = f"{problem.what}: {problem.why}" if problem.why else problem.what
    return CONNECTION.sub("", what), problem.remedy


def logs(v: Variables) -> Iterator[Finding]:
    """Agents that send logs to gateways that refuse them."""
    name, enabled = "instrumentation_logs_enabled", "collector_logs_enabled"
    if usable(False, boolean, v.get("instrumentation_enabled", True)) and usable(False, boolean, v.get(name)):
        host = usable("", lambda: urlsplit(text(v, "instrumentation_endpoint")).hostname) or ""
        if host.partition(".")[0] == "otel-collector" and not usable(True, boolean, v.get(enabled, True)):
            yield error(
                name,
                f"is true, but {enabled} is false",
                f"Set {enabled}: true and logs: true in an entry of collector_exporters, or {name}: false.",
                "the gateways answer 404 to logs, and the agents report that at every attempt",
            )


def proof(v: Variables) -> Iterator[Finding]:
    """What the proof refuses at the end of a run."""
    read = Reader(v)
    if "verify_plain_traces" in v:
        read.integer("verify_plain_traces", minimum=MIN_PLAIN)
    yield from read.findings


VARIABLE_CHECKS: tuple[Callable[[Variables], Iterable[Finding]], ...] = (
    durations,
    s3_endpoint,
    one_store,
    buckets,
    transport,
    regions,
    urls,
    container_images,
    store_reader,
    red_metrics,
    tenants,
    expiry,
    # What the roles themselves refuse when they turn their variables into configuration.
    tempo.findings,
    collectors,
    instrumentation.findings,
    logs,
    grafana.findings,
    content.findings,
    proof,
    periodic_probe.findings,
)
FACT_CHECKS: tuple[Callable[[Variables, Facts], Iterator[Finding]], ...] = (
    cluster,
    permissions,
    storage_class,
    secrets,
    pull_secrets,
    instrumentation_apis,
    installed_tempo,
    brokers,
    helm,
    store,
    provisioned_grafana,
)


def check(v: Variables, facts: Facts, given: Iterable[Finding] = ()) -> list[Finding]:
    """All findings, errors first, otherwise in the order of the checks.

    given: findings of argument specs. They are left out where a check has found the error in the same variable, with
    its place.
    """
    found = [finding for one in VARIABLE_CHECKS for finding in one(v)]
    wrong = {finding.variable for finding in errors(found)}
    found += [finding for finding in given if finding.variable not in wrong]
    found += [finding for other in FACT_CHECKS for finding in other(v, facts)]
    return sorted(dict.fromkeys(found), key=lambda finding: finding.severity != ERROR)


def chosen(facts: Facts) -> str:
    """The sentence that says so where the environment chose the cluster; "" where it did not."""
    return f"The environment chose the cluster {facts.api_server}: {facts.origin}." if facts.origin else ""


def report(findings: Iterable[Finding], facts: Facts = NOTHING_ASKED) -> str:
    """The errors as text for people, one numbered line each; "" for none. The first line says what they are about."""
    found = errors(findings)
    if not found:
        return ""
    things = "1 thing" if len(found) == 1 else f"{len(found)} things"
    first = f"Preflight found {things} that would fail. Nothing was changed. {chosen(facts)}".rstrip()
    return f"{first}\n{numbered(found)}"
