# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Where traces, logs and metrics go: collector_exporters and collector_remote_write_* as exporters, extensions and the
keys of Secrets that they need. Pure: no I/O, no Ansible.

Samplers send traces and metrics, gateways send logs: what an entry needs is wired to the tier that sends.

A secret is only referenced here, as {secret, key}. Settings that upstream reads from a file come from a mounted volume,
since files are read again when the Secret changes; the rest comes from the environment, as ${env:…} in the
configuration.

The component and option names are those of OpenTelemetry Collector contrib 0.158.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

from ansible_collections.orion.tracing.plugins.module_utils.collector.policies import literal
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import MEBIBYTE
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding, Place, error, warning
from ansible_collections.orion.tracing.plugins.module_utils.inventory.variables import (
    WrongValue,
    boolean,
    duration,
    listing,
    number,
    text,
    usable,
)
from ansible_collections.orion.tracing.plugins.module_utils.kube.connection import is_loopback
from ansible_collections.orion.tracing.plugins.module_utils.platform.load import MAX_EXPORT_BYTES
from ansible_collections.orion.tracing.plugins.module_utils.s3 import names
from ansible_collections.orion.tracing.plugins.module_utils.s3.aws import is_aws

Config = dict[str, Any]
Variables = Mapping[str, Any]

EXPORTERS = "collector_exporters"
STORES = ("tempo", "otlp")
TENANT = "X-Scope-OrgID"

# Where the chart mounts the keys of Secrets that are read as files. Names in it have no folders: a Secret's update
# exchanges the target of links at the top alone.
SECRET_DIRECTORY = "/var/run/secrets/otelcol"
# Of these files, the one that AWS_CA_BUNDLE names in the chart.
AWS_CA_FILE = "aws-ca-bundle.crt"
# A client certificate that has been renewed is used after this time at the latest.
CERTIFICATE_RELOAD = "5m"

COMMON = ("name", "protocol", "traces", "logs", "share", "queue", "timeout")
# The signals of an entry, and the key of protocol http with the complete URL for each.
TRACES, LOGS = "traces", "logs"
URLS = {TRACES: "traces_endpoint", LOGS: "logs_endpoint"}
OTLP = ("endpoint", *URLS.values(), "headers", "auth", "tls", "tenant", "compression")
# What can carry logs here. Source of what stores take: docs/destinations.md
LOG_PROTOCOLS = ("grpc", "http")
KNOWN = {
    "grpc": (*COMMON, *(key for key in OTLP if key not in URLS.values())),
    "http": (*COMMON, *OTLP),
    "xray": (*COMMON, "region", "endpoint", "role_arn", "indexed_attributes", "credentials_secret", "tls"),
    "s3": (*COMMON, "bucket", "prefix", "region", "endpoint", "format", "compression", "role_arn", "expiration_days",
           "credentials_secret", "tls"),
    "kafka": (*COMMON, "brokers", "topic", "auth", "tls", "compression"),
}  # fmt: skip
AUTHENTICATORS = {
    "grpc": ("basic", "bearer", "oauth2"),
    "http": ("basic", "bearer", "oauth2", "sigv4"),
    "kafka": ("sasl",),
    "remote_write": ("basic", "bearer", "oauth2", "sigv4"),
}
COMPRESSIONS = {
    "grpc": ("gzip", "snappy", "zstd", "none"),
    "http": ("gzip", "snappy", "zstd", "none"),
    "kafka": ("gzip", "snappy", "lz4", "zstd", "none"),
    # What simulate.yml and replay.yml read.
    "s3": ("gzip", "none"),
}
SASL_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
INDEXED_ATTRIBUTES = ("service.name", "http.request.method", "http.response.status_code")

# A label of Kubernetes: it becomes part of component ids and of file names.
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")
# https://www.rfc-editor.org/rfc/rfc9110#name-tokens
HEADER = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
HOST_PORT = re.compile(r"[^/\s@]+:[0-9]{1,5}")
SECRET_NAME = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")
SECRET_WORDS = frozenset((
    "auth", "authorization", "bearer", "cookie", "credential", "credentials", "dsn", "key", "passwd", "password", "pwd",
    "secret", "signature", "token",
))  # fmt: skip
SECRET_ENDS = ("accesskey", "apikey", "licensekey", "password", "secret", "token")
# An API key under a name that does not say so.
SECRET_HEADERS = ("x-honeycomb-team",)

# Sizes in bytes. The collector drops a request that a receiver refuses for its size.
BATCH: Config = {"sizer": "bytes", "flush_timeout": "200ms", "min_size": MEBIBYTE, "max_size": MAX_EXPORT_BYTES}
# One message each, and a broker takes 1 MB by default.
KAFKA_BATCH: Config = {"sizer": "bytes", "flush_timeout": "200ms", "min_size": 256 * 1024, "max_size": 900 * 1000}
# One object each: requests cost, and reading few large ones is quicker than many small ones.
S3_BATCH: Config = {"sizer": "bytes", "flush_timeout": "10s", "min_size": 8 * MEBIBYTE, "max_size": 16 * MEBIBYTE}
# PutTraceSegments takes 50 segments, so a batch is sent in many requests one after the other, within one timeout.
XRAY_BATCH: Config = {"sizer": "items", "flush_timeout": "200ms", "min_size": 200, "max_size": 500}
XRAY_PORT = 14317


@dataclass(frozen=True)
class Reference:
    """A key of a Secret in the namespace of the platform, and the place that names it."""

    place: Place
    secret: str
    key: str


@dataclass
class Wiring:
    """What several exporters add to: extensions of the configuration, and what the chart gives the pods of Secrets.

    env: {name, secret, key}; files: {path, secret, key}, the path below SECRET_DIRECTORY.
    """

    findings: list[Finding] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)
    extensions: Config = field(default_factory=dict)
    env: list[dict[str, str]] = field(default_factory=list)
    files: list[dict[str, str]] = field(default_factory=list)
    # The Secret with AWS credentials, "" for the service account's, and the place that names it.
    aws: list[tuple[Place, str]] = field(default_factory=list)

    def wrong(self, place: Place | str, what: str, remedy: str, why: str = "") -> None:
        self.findings.append(error(place, what, remedy, why))

    def from_env(self, name: str, reference: Reference) -> str:
        """The reference's value in the configuration."""
        self.env.append({"name": name, "secret": reference.secret, "key": reference.key})
        return f"${{env:{name}}}"

    def from_file(self, path: str, reference: Reference) -> str:
        """The path of a file that holds the reference's value."""
        self.files.append({"path": path, "secret": reference.secret, "key": reference.key})
        return f"{SECRET_DIRECTORY}/{path}"


class Fields:
    """The keys of one mapping inside a variable. Findings are kept, with the place of the key, and reading goes on.

    renamed: variables that take the place of keys.
    """

    def __init__(self, wiring: Wiring, where: Place, value: Any, known: Iterable[str]) -> None:
        self.wiring, self.where, self.known = wiring, where, tuple(known)
        self.renamed: dict[str, str] = {}
        self.values: dict[str, Any] = {}
        if not isinstance(value, Mapping):
            wiring.wrong(where, "is not a mapping", f"Give a mapping with some of {', '.join(self.known)}.")
            return
        self.values = {str(key): item for key, item in value.items() if item is not None}
        for key in self.values:
            if key not in self.known:
                near = difflib.get_close_matches(key, self.known, 1)
                remedy = f"Did you mean {near[0]}?" if near else f"Known are {', '.join(self.known)}."
                wiring.wrong(self.place(key), "is not known here", remedy)

    def __contains__(self, key: str) -> bool:
        return key in self.values and key in self.known

    def place(self, key: str) -> Place:
        return Place(self.renamed[key]) if key in self.renamed else self.where.key(key)

    def wrong(self, key: str, what: str, remedy: str, why: str = "") -> None:
        self.wiring.wrong(self.place(key), what, remedy, why)

    def text(self, key: str, default: str | None = None, remedy: str = "Give a non-empty string.") -> str:
        """default: None where the key is required."""
        if key not in self:
            if default is None:
                self.wrong(key, "is missing", remedy)
            return default or ""
        try:
            return text(self.values[key])
        except ValueError:
            self.wrong(key, "is not a string, or empty", remedy)
            return default or ""

    def choice(self, key: str, choices: Iterable[str], default: str) -> str:
        found = self.text(key, default)
        if found in choices:
            return found
        near = difflib.get_close_matches(found, list(choices), 1)
        hint = f"Did you mean {near[0]}?" if near else f"Choose {', '.join(choices)}."
        self.wrong(key, f"is '{found}', not one of the choices", hint)
        return default

    def flag(self, key: str) -> bool:
        try:
            return boolean(self.values.get(key, False))
        except ValueError:
            self.wrong(key, "is neither true nor false", "Give true or false.")
            return False

    def number(self, key: str, default: float, minimum: float, maximum: float) -> float:
        try:
            return number(self.values.get(key, default), minimum, maximum)
        except WrongValue as problem:
            self.wrong(key, problem.what, problem.remedy)
            return default

    def duration(self, key: str, default: str) -> str:
        value = self.values.get(key, default)
        try:
            duration(value, positive=True)
        except WrongValue as problem:
            self.wrong(key, problem.what, problem.remedy)
            return default
        return str(value).strip()

    def texts(self, key: str, default: Iterable[str] = ()) -> list[str]:
        try:
            return [str(item) for item in listing(self.values.get(key, list(default)), str)]
        except ValueError:
            self.wrong(key, "is not a list of strings", "Write it as [a, b].")
            return list(default)

    def mapping(self, key: str, known: Iterable[str]) -> Fields:
        """The mapping of a key, empty where the key is not there."""
        return Fields(self.wiring, self.place(key), self.values.get(key, {}), known)

    def reference(self, key: str) -> Reference:
        """A key of a Secret, written {secret, key}."""
        return _reference(self.wiring, self.place(key), self.values.get(key))

    def shown(self, key: str) -> str | Reference:
        """Text that may stand in the configuration, or a key of a Secret."""
        if isinstance(self.values.get(key), Mapping):
            return self.reference(key)
        return self.text(key, remedy="Give a string, or {secret: NAME, key: KEY}.")


def _reference(wiring: Wiring, where: Place, value: Any) -> Reference:
    remedy = "Write {secret: NAME, key: KEY}; the Secret is in the namespace tracing_namespace."
    if value is None:
        wiring.wrong(where, "is missing", remedy)
    elif not isinstance(value, Mapping):
        # Never the value: it may be the secret itself.
        wiring.wrong(where, "is not a reference to a Secret, and secrets are never read from variables", remedy)
    else:
        fields = Fields(wiring, where, value, ("secret", "key"))
        secret, key = fields.text("secret", remedy=remedy), fields.text("key", remedy=remedy)
        if secret and not SECRET_NAME.fullmatch(secret):
            fields.wrong("secret", f"is '{secret}', which cannot be a Secret's name", "Use a-z, 0-9, - and . alone.")
        elif secret and key:
            found = Reference(where, secret, key)
            wiring.references.append(found)
            return found
    return Reference(where, "", "")


def is_secret(header: str) -> bool:
    """Whether a header's name says that its value is a secret."""
    name = header.lower()
    words = re.split(r"[^a-z0-9]+", name)
    return name in SECRET_HEADERS or any(word in SECRET_WORDS or word.endswith(SECRET_ENDS) for word in words)


@dataclass
class Exporter:
    """One destination of one signal.

    where: the variable, or the entry in it. component: id of the exporter with the queue. settings: its configuration
    without queue and retry. traces, share (percent), queue: as the entry has them. relayed: for an exporter without a
    queue, its id, its configuration and the port on which the collector sends to itself. bucket, prefix: of an S3 one.
    """

    name: str
    where: Place
    protocol: str
    component: str
    settings: Config
    batch: Config
    traces: str = "kept"
    share: float = 100.0
    queue: str = "memory"
    relayed: tuple[str, Config, int] | None = None
    bucket: str = ""
    prefix: str = ""

    def sending_queue(self, size: int, storage: str) -> Config:
        """size: in spans. storage: id of the extension, "" for memory.

        A full queue refuses at once and does not block: whoever waited for this destination would hold back the others.
        """
        return {
            "enabled": True,
            "sizer": "items",
            "queue_size": size,
            **({"storage": storage} if storage else {}),
            "batch": dict(self.batch),
        }


@dataclass
class Destinations:
    """All exporters of traces in their order, the one of metrics, and what they need in the samplers (wiring); those of
    logs, the one of metrics in the gateways, and what these need there (gateway_wiring).
    """

    exporters: list[Exporter]
    debug: bool
    remote_write: Config
    wiring: Wiring
    logs: list[Exporter]
    gateway_remote_write: Config
    gateway_wiring: Wiring

    @property
    def findings(self) -> list[Finding]:
        """Each once: an entry for both signals is read for each."""
        return list(dict.fromkeys([*self.wiring.findings, *self.gateway_wiring.findings]))


def destinations(v: Variables) -> Destinations:
    """From collector_exporters, collector_tempo_endpoint, collector_remote_write_* and the shorthands.

    Nothing raises: what is wrong is in findings, and if there is an error the rest must not be used.
    """
    wiring, gateway_wiring = Wiring(), Wiring()
    store = str(v.get("tracing_store", "tempo"))
    if store not in STORES:
        wiring.wrong("tracing_store", f"is '{store}', not one of the choices", f"Choose {' or '.join(STORES)}.")
    disk = usable(False, boolean, v.get("collector_persistent_queue_enabled"))
    given, unread = v.get(EXPORTERS, []), 0
    if not isinstance(given, list):
        wiring.wrong(EXPORTERS, "is not a list", "Give a list of mappings, each with name, protocol and endpoint.")
        given, unread = [], 1
    made: list[Exporter] = []
    logs: list[Exporter] = []
    if store == "tempo":
        made.append(_tempo(wiring, v, disk))
    for number_, entry in enumerate(given):
        where = Place(EXPORTERS).item(number_)
        signals = _signals(wiring, where, entry)
        if TRACES in signals:
            found = _exporter(wiring, where, entry, v, disk, len(made))
            unread += not found
            made += found
        if LOGS in signals:
            logs += _logs(gateway_wiring, where, entry, v)
    if usable(False, boolean, v.get("collector_xray_enabled")):
        short = {"name": "xray", "protocol": "xray"}
        made += _exporter(wiring, Place("collector_xray_enabled"), short, v, disk, len(made))
    _names(wiring, [*made, *(one for one in logs if one.traces == "none")])
    _reachable(wiring, v, logs)
    # An entry that could not be read may have been meant as one.
    if store == "otlp" and unread == 0 and all(one.traces != "kept" for one in made):
        problem = "has no destination of kept traces, but tracing_store is otlp, so there is no Tempo either"
        wiring.wrong(EXPORTERS, problem, "Add an entry, or set tracing_store: tempo.")
    if store == "tempo":
        _prefixes(wiring, made, v)
    remote_write = _remote_write(wiring, v)
    gateway_remote_write = _gateway_remote_write(gateway_wiring, v)
    _aws(wiring)
    _aws(gateway_wiring)
    debug = usable(False, boolean, v.get("collector_debug_enabled"))
    return Destinations(made, debug, remote_write, wiring, logs, gateway_remote_write, gateway_wiring)


def _signals(wiring: Wiring, where: Place, entry: Any) -> list[str]:
    """The signals that an entry is for. One that cannot be read is for traces, where it is looked at again."""
    if not isinstance(entry, Mapping) or entry.get("protocol") not in KNOWN:
        return [TRACES]
    protocol = entry["protocol"]
    logs, traces = usable(False, boolean, entry.get(LOGS, False)), entry.get(TRACES) != "none"
    if logs and protocol not in LOG_PROTOCOLS:
        wiring.wrong(
            where.key(LOGS),
            f"is true, which protocol {protocol} does not support",
            f"Use protocol {' or '.join(LOG_PROTOCOLS)} for logs, in an entry of its own.",
        )
        return [TRACES]
    if not logs and not traces:
        wiring.wrong(
            where.key(TRACES),
            "is none, and logs is not true, so nothing is sent there",
            "Set logs: true, or traces: kept, or take the entry out.",
        )
        return [TRACES]
    return [signal for signal, wanted in ((TRACES, traces), (LOGS, logs)) if wanted]


def _reachable(wiring: Wiring, v: Variables, logs: list[Exporter]) -> None:
    """Whether logs are received and have somewhere to go."""
    name = "collector_logs_enabled"
    if name not in v:
        return
    enabled = usable(False, boolean, v[name])
    if enabled and not logs:
        wiring.wrong(
            name,
            f"is true, but no entry of {EXPORTERS} has logs: true",
            f"Add logs: true to an entry of {EXPORTERS}, or set {name}: false.",
            "the gateways would have nowhere to send logs",
        )
    for one in logs if not enabled else ():
        wiring.findings.append(
            warning(
                one.where.key(LOGS),
                f"is true, but {name} is false",
                f"Set {name}: true, or take logs out.",
                "the gateways refuse logs, so none is sent there",
            )
        )


def _tempo(wiring: Wiring, v: Variables, disk: bool) -> Exporter:
    """otlp_http for a URL, otlp_grpc for host:port.

    HTTP is the default because gRPC, whose pause between connection attempts grows to two minutes and cannot be set,
    may find a Tempo that came late only half as long again after that; HTTP tries at every retry. It also uses several
    connections, so a sampler's load spreads over the distributors behind their Service.
    """
    endpoint = str(v.get("collector_tempo_endpoint") or "").strip()
    protocol = "http" if "://" in endpoint else "grpc"
    entry: Config = {"name": "tempo", "protocol": protocol, "endpoint": endpoint}
    if not endpoint.startswith("https://"):
        entry["tls"] = {"insecure": True}
    fields = Fields(wiring, Place("collector_tempo_endpoint"), entry, KNOWN[protocol])
    fields.renamed = {"endpoint": "collector_tempo_endpoint"}
    return _common(fields, _otlp(fields, "tempo", protocol), disk)


def _exporter(wiring: Wiring, where: Place, entry: Any, v: Variables, disk: bool, position: int) -> list[Exporter]:
    """The entry's exporter, alone in a list; an empty list where not even its kind is known."""
    if not isinstance(entry, Mapping):
        wiring.wrong(where, "is not a mapping", "Give a mapping with name, protocol and endpoint.")
        return []
    protocol = entry.get("protocol")
    if protocol not in KNOWN:
        problem = "is missing" if protocol is None else f"is '{protocol}', not one of the choices"
        wiring.wrong(where.key("protocol"), problem, f"Choose {', '.join(KNOWN)}.")
        return []
    fields = Fields(wiring, where, entry, KNOWN[protocol])
    name = _name(fields)
    if protocol == "xray":
        return [_xray(fields, name, v, disk, XRAY_PORT + position)]
    if protocol == "s3":
        return [_s3(fields, name, v, disk)]
    if protocol == "kafka":
        return [_kafka(fields, name, disk)]
    return [_common(fields, _otlp(fields, name, str(protocol)), disk)]


def _name(fields: Fields) -> str:
    name = fields.text("name", remedy="Give a name such as vendor; it becomes part of the exporter's id.")
    if name and not NAME.fullmatch(name):
        rule = "Use at most 40 of a-z, 0-9 and -, beginning and ending with a letter or digit."
        fields.wrong("name", f"is '{name}', which cannot be part of an exporter's id", rule)
    return name


def _common(fields: Fields, made: Exporter, disk: bool) -> Exporter:
    fields.flag(LOGS)
    made.traces = fields.choice("traces", ("kept", "all", "none"), "kept")
    made.share = fields.number("share", 100, 0.01, 100)
    if made.share < 100 and made.traces == "kept":
        fields.wrong("share", "applies to all traces, but traces is kept", "Set traces: all, or leave share out.")
    made.queue = fields.choice("queue", ("memory", "disk"), "disk" if disk else "memory")
    if made.queue == "disk" and not disk:
        fields.wrong(
            "queue",
            "is disk, but the samplers have no volume",
            "Set collector_persistent_queue_enabled: true, or queue: memory.",
        )
    return made


def _logs(wiring: Wiring, where: Place, entry: Mapping[str, Any], v: Variables) -> list[Exporter]:
    """The exporter of an entry's logs, which the gateways have; alone in a list."""
    protocol = str(entry["protocol"])
    fields = Fields(wiring, where, entry, KNOWN[protocol])
    name = _name(fields)
    made = _otlp(fields, name, protocol, LOGS)
    made.traces = fields.choice("traces", ("kept", "all", "none"), "kept")
    if made.traces != "none":
        return [made]
    # Otherwise these keys are for the entry's traces.
    if "share" in fields:
        fields.wrong("share", "applies to all traces, but traces is none", "Leave it out.")
    if fields.text("queue", "memory") != "memory":
        fields.wrong(
            "queue", f"is '{fields.values['queue']}', but logs wait in the gateways' memory", "Leave it out.",
            "gateways have no volume",
        )  # fmt: skip
    return [made]


def _otlp(fields: Fields, name: str, protocol: str, signal: str = TRACES) -> Exporter:
    settings: Config = {}
    target = "endpoint"
    if protocol == "http":
        target = _target(fields, signal)
        settings[target] = literal(_url(fields, target))
    else:
        settings[target] = literal(_host_port(fields, target))
    plain = settings[target].startswith("http://") if protocol == "http" else None
    # Of an attempt. A sampler that stops waits for those under way, and takes no spans meanwhile.
    settings["timeout"] = fields.duration("timeout", "10s")
    owner = (f"EXPORTER_{name.upper().replace('-', '_')}", name)
    settings |= client(fields, owner, protocol, plain)
    return Exporter(name, fields.where, protocol, f"otlp_{protocol}/{name}", settings, BATCH)


def _target(fields: Fields, signal: str) -> str:
    """The key with the URL for a signal: its own one, or endpoint, to which the exporter appends the signal's path."""
    logs = usable(False, boolean, fields.values.get(LOGS, False))
    sent = [one for one, wanted in ((TRACES, fields.values.get(TRACES) != "none"), (LOGS, logs)) if wanted]
    for other, key in URLS.items():
        if key in fields and other not in sent:
            remedy = "Set logs: true, or leave it out." if other == LOGS else "Leave it out."
            fields.wrong(key, f"is set, but this entry is not for {other}", remedy)
    own = URLS[signal]
    if own in fields and "endpoint" in fields and all(URLS[one] in fields for one in sent):
        fields.wrong(own, "is set beside endpoint, which it would replace", "Leave one of them out.")
    return own if own in fields or ("endpoint" not in fields and len(sent) > 1) else "endpoint"


def _xray(fields: Fields, name: str, v: Variables, disk: bool, port: int) -> Exporter:
    """awsxray sends while the pipeline waits and has no queue. So the collector sends to itself, from the queue of an
    OTLP exporter; what X-Ray does not take then is tried again, and nobody else waits for it.
    """
    exporter: Config = {
        "region": _region(fields, v),
        "indexed_attributes": [literal(one) for one in fields.texts("indexed_attributes", INDEXED_ATTRIBUTES)],
    }
    if role := fields.text("role_arn", ""):
        exporter["role_arn"] = literal(role)
    if "endpoint" in fields:
        exporter["endpoint"] = literal(_url(fields, "endpoint", otlp=False))
    tls = _plain_or_not(fields, str(exporter.get("endpoint", "https://")))
    if tls.flag("insecure_skip_verify"):
        exporter["no_verify_ssl"] = True
    _credentials(fields)
    settings = {
        "endpoint": f"localhost:{port}",
        "tls": {"insecure": True},
        "compression": "none",
        # Of all requests that a batch takes.
        "timeout": fields.duration("timeout", "30s"),
    }
    made = Exporter(name, fields.where, "xray", f"otlp_grpc/{name}", settings, XRAY_BATCH)
    made.relayed = (f"awsxray/{name}", exporter, port)
    return _common(fields, made, disk)


def _in_own_store(bucket: str, v: Variables) -> bool:
    """Whether a bucket is the one that the object_storage role makes in a store other than AWS."""
    url = str(v.get("object_storage_endpoint_url") or "")
    return bool(bucket) and bucket == v.get("object_storage_bucket") and not is_aws(url)


def _own_store(fields: Fields, v: Variables) -> str:
    """The URL under which pods reach that store."""
    url = str(v["object_storage_endpoint_url"])
    if is_loopback(url):
        fields.wrong(
            "endpoint",
            f"is missing, and object_storage_endpoint_url {url} is a loopback address",
            "Give the URL under which pods reach the store.",
        )
    return url


def _s3(fields: Fields, name: str, v: Variables, disk: bool) -> Exporter:
    bucket = fields.text("bucket", str(v.get("object_storage_bucket") or ""))
    if not bucket:
        fields.wrong("bucket", "is missing, and object_storage_bucket is empty", "Name a bucket.")
    elif wrong := names.problem(bucket):
        fields.wrong("bucket", f"is '{bucket}', which cannot be a bucket: {wrong}", "Choose another name.")
    prefix = fields.text("prefix", remedy="Give the recordings a folder of their own, such as recordings.").strip("/")
    uploader: Config = {
        "region": _region(fields, v),
        "s3_bucket": literal(bucket),
        "s3_prefix": literal(prefix),
        # By default that of the machine.
        "s3_partition_timezone": "UTC",
        "unique_key_func_name": "uuidv7",
        "compression": fields.choice("compression", COMPRESSIONS["s3"], "gzip"),
    }
    if role := fields.text("role_arn", ""):
        uploader["role_arn"] = literal(role)
    style = str(v.get("object_storage_addressing_style") or "") if _in_own_store(bucket, v) else ""
    if "endpoint" in fields:
        uploader["endpoint"] = literal(_url(fields, "endpoint", otlp=False))
    elif _in_own_store(bucket, v):
        uploader["endpoint"] = literal(_own_store(fields, v))
    if "endpoint" in uploader:
        # Stores other than AWS rarely have a name for each bucket.
        uploader["s3_force_path_style"] = style != "virtual"
    tls = _plain_or_not(fields, str(uploader.get("endpoint", "https://")), "ca")
    if tls.flag("insecure_skip_verify"):
        tls.wrong("insecure_skip_verify", "is not supported by the S3 exporter", "Leave it out.")
    _aws_ca(tls)
    days = fields.number("expiration_days", 0, 0, 36500)
    if not days.is_integer():
        fields.wrong("expiration_days", f"is {days:g}", "Give a whole number of days, 0 for none.")
    _credentials(fields)
    settings = {
        "s3uploader": uploader,
        "marshaler": fields.choice("format", ("otlp_proto", "otlp_json"), "otlp_proto"),
        "timeout": fields.duration("timeout", "30s"),
    }
    made = Exporter(name, fields.where, "s3", f"awss3/{name}", settings, S3_BATCH, bucket=bucket, prefix=prefix)
    return _common(fields, made, disk)


def _kafka(fields: Fields, name: str, disk: bool) -> Exporter:
    brokers = fields.texts("brokers")
    if not brokers:
        fields.wrong("brokers", "is missing or empty", "Give a list of host:port.")
    for broker in brokers:
        if not HOST_PORT.fullmatch(broker):
            fields.wrong("brokers", f"has '{broker}'", "Give host:port, without a scheme.")
    settings: Config = {
        "brokers": [literal(broker) for broker in brokers],
        "traces": {"topic": literal(fields.text("topic", remedy="Name the topic, such as otlp_spans."))},
        "timeout": fields.duration("timeout", "10s"),
        "producer": {"compression": fields.choice("compression", COMPRESSIONS["kafka"], "gzip")},
    }
    tls = _tls(fields, name, None)
    # Without the section the client speaks plain text.
    if not tls.get("insecure"):
        settings["tls"] = {"insecure": False, **tls}
    if "auth" in fields and (chosen := _authenticator(fields, "kafka")):
        sasl = fields.mapping("auth", AUTHENTICATORS["kafka"]).mapping(chosen, ("mechanism", "username", "password"))
        prefix = f"EXPORTER_{name.upper().replace('-', '_')}_SASL"
        username = sasl.shown("username")
        settings["auth"] = {
            "sasl": {
                "mechanism": sasl.choice("mechanism", SASL_MECHANISMS, "PLAIN"),
                "username": literal(username)
                if isinstance(username, str)
                else fields.wiring.from_env(f"{prefix}_USERNAME", username),
                "password": fields.wiring.from_env(f"{prefix}_PASSWORD", sasl.reference("password")),
            }
        }
    return _common(fields, Exporter(name, fields.where, "kafka", f"kafka/{name}", settings, KAFKA_BATCH), disk)


def _remote_write(wiring: Wiring, v: Variables) -> Config:
    """headers, auth, tls and tenant of the exporter of metrics. Its URL is checked elsewhere."""
    url = str(v.get("collector_remote_write_url") or "").strip()
    keys = ("headers", "auth", "tls", "tenant")
    variables = {key: f"collector_remote_write_{key}" for key in keys}
    given = {key: v[name] for key, name in variables.items() if v.get(name)}
    fields = Fields(wiring, Place("collector_remote_write"), given, keys)
    fields.renamed = variables
    if given and not url:
        for key in given:
            fields.wrong(key, "is set, but collector_remote_write_url is empty", "Set the URL, or take this out.")
        return {}
    plain = url.startswith("http://")
    if plain and "tls" in given:
        fields.wrong("tls", "is set, but collector_remote_write_url begins with http://", "Write https://.")
    # The URL alone has always been enough for plain text here, so it need not be confirmed a second time.
    return client(fields, ("REMOTE_WRITE", "remote_write"), "remote_write", plain, said=False)


def _gateway_remote_write(wiring: Wiring, v: Variables) -> Config:
    """The same for the gateways, where they take metrics."""
    name, url = "collector_metrics_enabled", "collector_remote_write_url"
    if not usable(False, boolean, v.get(name)):
        return {}
    if not str(v.get(url) or "").strip():
        wiring.wrong(
            name,
            f"is true, but {url} is empty",
            f"Set {url}, or {name}: false.",
            "the gateways would have nowhere to send metrics",
        )
        return {}
    return _remote_write(wiring, v)


def client(fields: Fields, owner: tuple[str, str], protocol: str, plain: bool | None, said: bool = True) -> Config:
    """headers, tenant, auth, tls and compression of an exporter of confighttp or configgrpc.

    owner: what the names of environment variables begin with, and those of files and extensions. plain: whether the URL
    is http://, None where there is no URL. said: whether plain text must be requested explicitly.
    """
    env, name = owner
    wiring = fields.wiring
    settings: Config = {}
    headers = _headers(fields, env)
    if tenant := fields.text("tenant", ""):
        if any(key.lower() == TENANT.lower() for key in headers):
            fields.wrong("tenant", f"is set, and so is the header {TENANT}", "Leave one of them out.")
        headers[TENANT] = literal(tenant)
    if headers:
        settings["headers"] = headers
    if "compression" in fields:
        settings["compression"] = fields.choice("compression", COMPRESSIONS.get(protocol, ("none",)), "gzip")
    tls = _tls(fields, name, plain, said)
    if tls:
        settings["tls"] = tls
    if "auth" in fields and (chosen := _authenticator(fields, protocol)):
        if any(key.lower() == "authorization" for key in headers):
            fields.wrong("auth", "is set, and so is the header authorization", "Leave one of them out.")
        if protocol == "grpc" and tls.get("insecure"):
            # PerRPCCredentials of these extensions require a secure connection.
            fields.wrong("auth", "cannot be used over plain text with gRPC", "Use TLS, or protocol: http.")
        extension, configuration = _EXTENSIONS[chosen](fields.mapping("auth", AUTHENTICATORS[protocol]), name, protocol)
        identity = f"{extension}/{name}"
        wiring.extensions[identity] = configuration
        settings["auth"] = {"authenticator": identity}
    return settings


def _headers(fields: Fields, env: str) -> Config:
    if "headers" not in fields:
        return {}
    given = fields.values["headers"]
    if not isinstance(given, Mapping):
        fields.wrong("headers", "is not a mapping", "Write {name: value} or {name: {secret: NAME, key: KEY}}.")
        return {}
    headers: Config = {}
    for number_, (header, value) in enumerate(given.items(), 1):
        where = fields.place("headers").key(header)
        if not HEADER.fullmatch(str(header)):
            fields.wiring.wrong(where, "is not a header's name", "Use letters, digits and - alone.")
        elif str(header).lower() in (name.lower() for name in headers):
            fields.wiring.wrong(where, "is given twice", "Leave one of them out; case is ignored.")
        elif isinstance(value, Mapping):
            reference = _reference(fields.wiring, where, value)
            headers[str(header)] = fields.wiring.from_env(f"{env}_HEADER_{number_}", reference)
        elif is_secret(str(header)) or re.match(r"(?i)(basic|bearer) \S", str(value)):
            fields.wiring.wrong(
                where,
                "is given in plain text, but its name is that of a secret",
                "Put it into a Secret in the namespace tracing_namespace and write {secret: NAME, key: KEY}.",
            )
        else:
            try:
                headers[str(header)] = literal(text(value))
            except ValueError:
                fields.wiring.wrong(where, "is not a string, or empty", "Give a string, or {secret: NAME, key: KEY}.")
    return headers


TLS_KEYS = ("ca", "cert", "key", "server_name", "insecure", "insecure_skip_verify")


def _tls(fields: Fields, name: str, plain: bool | None, said: bool = True) -> Config:
    """plain and said: as those of client."""
    if "tls" not in fields and not (plain and said):
        return {}
    tls = fields.mapping("tls", TLS_KEYS)
    insecure = tls.flag("insecure")
    secured = [key for key in TLS_KEYS if key in tls and key != "insecure"]
    if plain and said and not insecure:
        problem = "is not set, but the endpoint begins with http://, so everything would be sent in plain text"
        tls.wrong("insecure", problem, "Write https://, or tls: {insecure: true} if plain text is intended.")
    elif plain is False and insecure:
        tls.wrong("insecure", "is true, but the endpoint begins with https://", "Write http://, or leave it out.")
    if insecure and secured:
        tls.wrong("insecure", f"is true, which turns {' and '.join(secured)} off", "Leave insecure out, or the others.")
    if ("cert" in tls) != ("key" in tls):
        there, lacking = ("cert", "key") if "cert" in tls else ("key", "cert")
        tls.wrong(lacking, f"is missing, but {there} is there", "Give both cert and key, or neither.")
    if insecure:
        return {} if plain else {"insecure": True}
    found: Config = {}
    for key, option in (("ca", "ca_file"), ("cert", "cert_file"), ("key", "key_file")):
        if key in tls:
            found[option] = fields.wiring.from_file(f"{name}.{key}", tls.reference(key))
    if "cert" in tls:
        found["reload_interval"] = CERTIFICATE_RELOAD
    if server_name := tls.text("server_name", ""):
        found["server_name_override"] = literal(server_name)
    if tls.flag("insecure_skip_verify"):
        found["insecure_skip_verify"] = True
    return found


def _aws_ca(tls: Fields) -> None:
    """The authorities that the AWS SDK trusts instead of the image's: a file that AWS_CA_BUNDLE names (the chart sets
    it), hence the same for all destinations of the SDK."""
    if "ca" not in tls:
        return
    if tls.flag("insecure"):
        tls.wrong("ca", "is set, but insecure turns TLS off", "Leave one of them out.")
        return
    reference = tls.reference("ca")
    known = [one for one in tls.wiring.files if one["path"] == AWS_CA_FILE]
    if known and known[0] != {"path": AWS_CA_FILE, "secret": reference.secret, "key": reference.key}:
        tls.wrong("ca", "differs from that of another s3 destination", "Name the same Secret and key everywhere.")
    elif not known:
        tls.wiring.from_file(AWS_CA_FILE, reference)


def _plain_or_not(fields: Fields, url: str, *more: str) -> Fields:
    """The section tls of an exporter that knows no client certificates, with insecure checked against the URL."""
    tls = fields.mapping("tls", ("insecure", "insecure_skip_verify", *more))
    plain = url.startswith("http://")
    if plain != tls.flag("insecure"):
        if plain:
            problem = "is not set, but the endpoint begins with http://, so everything would be sent in plain text"
            tls.wrong("insecure", problem, "Write https://, or tls: {insecure: true} if plain text is intended.")
        else:
            tls.wrong("insecure", "is true, but the endpoint is not http://", "Leave it out, or write http://.")
    return tls


def _authenticator(fields: Fields, protocol: str) -> str:
    """The one key of auth, "" where there is not exactly one that the protocol knows."""
    auth = fields.values["auth"]
    if not isinstance(auth, Mapping):
        fields.wrong("auth", "is not a mapping", f"Give one of {', '.join(AUTHENTICATORS[protocol])} and its settings.")
        return ""
    every = {kind for kinds in AUTHENTICATORS.values() for kind in kinds}
    for kind in auth:
        if kind in every and kind not in AUTHENTICATORS[protocol]:
            can = ", ".join(AUTHENTICATORS[protocol])
            fields.wrong("auth", f"is {kind}, which protocol {protocol} does not support", f"It supports {can}.")
            return ""
    chosen = [str(kind) for kind in auth if kind in AUTHENTICATORS[protocol]]
    if len(chosen) != 1:
        fields.mapping("auth", AUTHENTICATORS[protocol])
        if len(auth) != 1 or not chosen:
            can = ", ".join(AUTHENTICATORS[protocol])
            fields.wrong("auth", f"names {len(chosen)} ways to authenticate", f"Give one of {can}.")
        return ""
    return chosen[0]


def _basic(auth: Fields, name: str, _protocol: str) -> tuple[str, Config]:
    basic = auth.mapping("basic", ("username", "password"))
    username = basic.shown("username")
    known = (
        {"username": literal(username)}
        if isinstance(username, str)
        else {"username_file": basic.wiring.from_file(f"{name}.username", username)}
    )
    password = basic.wiring.from_file(f"{name}.password", basic.reference("password"))
    return "basicauth", {"client_auth": {**known, "password_file": password}}


def _bearer(auth: Fields, name: str, _protocol: str) -> tuple[str, Config]:
    bearer = auth.mapping("bearer", ("token", "scheme", "header"))
    settings: Config = {"filename": bearer.wiring.from_file(f"{name}.token", bearer.reference("token"))}
    for key in ("scheme", "header"):
        if value := bearer.text(key, ""):
            settings[key] = literal(value)
    return "bearertokenauth", settings


def _oauth2(auth: Fields, name: str, _protocol: str) -> tuple[str, Config]:
    """Client credentials, https://www.rfc-editor.org/rfc/rfc6749#section-4.4."""
    known = ("token_url", "client_id", "client_secret", "scopes", "endpoint_params", "ca")
    oauth = auth.mapping("oauth2", known)
    identity = oauth.shown("client_id")
    settings: Config = {
        "token_url": literal(_url(oauth, "token_url", otlp=False)),
        "client_secret_file": oauth.wiring.from_file(f"{name}.client-secret", oauth.reference("client_secret")),
        # Of a request for a token, during which the spans wait in their queue.
        "timeout": "10s",
    }
    if isinstance(identity, str):
        settings["client_id"] = literal(identity)
    else:
        settings["client_id_file"] = oauth.wiring.from_file(f"{name}.client-id", identity)
    if scopes := oauth.texts("scopes"):
        settings["scopes"] = [literal(scope) for scope in scopes]
    params = oauth.values.get("endpoint_params", {})
    if not isinstance(params, Mapping):
        oauth.wrong("endpoint_params", "is not a mapping", "Write {audience: https://api.example.com}.")
    elif params:
        settings["endpoint_params"] = {
            str(key): [literal(str(one)) for one in (value if isinstance(value, list) else [value])]
            for key, value in params.items()
        }
    if "ca" in oauth:
        settings["tls"] = {"ca_file": oauth.wiring.from_file(f"{name}.token-ca", oauth.reference("ca"))}
    return "oauth2client", settings


def _sigv4(auth: Fields, _name: str, protocol: str) -> tuple[str, Config]:
    sigv4 = auth.mapping("sigv4", ("region", "service", "role_arn", "credentials_secret"))
    service = sigv4.text("service", "aps" if protocol == "remote_write" else None, "Name the service, such as xray.")
    settings: Config = {"region": literal(sigv4.text("region")), "service": literal(service)}
    if role := sigv4.text("role_arn", ""):
        settings["assume_role"] = {"arn": literal(role)}
    _credentials(sigv4)
    return "sigv4auth", settings


_EXTENSIONS = {"basic": _basic, "bearer": _bearer, "oauth2": _oauth2, "sigv4": _sigv4}


def _region(fields: Fields, v: Variables) -> str:
    region = fields.text("region", str(v.get("tracing_region") or "").strip())
    if not region:
        fields.wrong("region", "is missing, and tracing_region is empty", "Name the region, such as us-east-1.")
    return literal(region)


def _credentials(fields: Fields) -> None:
    """AWS credentials from a Secret with the keys access_key and secret_key, or, without one, the service account's."""
    secret = fields.text("credentials_secret", "")
    where = fields.place("credentials_secret")
    fields.wiring.aws.append((where, secret))
    if secret:
        fields.wiring.references += [Reference(where, secret, key) for key in ("access_key", "secret_key")]


def _aws(wiring: Wiring) -> None:
    """The AWS SDK takes one identity for the whole process, and an exporter cannot be told another."""
    secrets = list(dict.fromkeys(secret for _where, secret in wiring.aws))
    if len(secrets) > 1:
        first = secrets[0] or "the service account"
        where, other = next(pair for pair in wiring.aws if pair[1] != secrets[0])
        wiring.wrong(
            where,
            f"is {other or 'not set'}, but {wiring.aws[0][0]} takes {first}, and a collector has one AWS identity",
            "Name the same Secret everywhere, or none; role_arn gives a destination a role of its own.",
        )
    elif secrets and secrets[0]:
        where = wiring.aws[0][0]
        for name, key in (("AWS_ACCESS_KEY_ID", "access_key"), ("AWS_SECRET_ACCESS_KEY", "secret_key")):
            wiring.from_env(name, Reference(where, secrets[0], key))


def _names(wiring: Wiring, made: list[Exporter]) -> None:
    seen: dict[str, Place] = {}
    for one in made:
        if one.name and one.name in seen:
            wiring.wrong(
                one.where.key("name") if one.where.variable == EXPORTERS else one.where,
                f"'{one.name}' is the name of {seen[one.name]} too",
                "Give each destination a name of its own.",
            )
        seen.setdefault(one.name, one.where)


def _prefixes(wiring: Wiring, made: list[Exporter], v: Variables) -> None:
    """Recordings and Tempo's blocks must not share a folder: each has an expiry of its own, and Tempo takes a folder
    inside its own for a tenant.
    """
    bucket = str(v.get("tempo_s3_bucket") or v.get("object_storage_bucket") or "")
    tempo = str(v.get("tempo_s3_prefix") or "").strip("/")
    for one in made:
        if one.protocol != "s3" or not one.prefix or one.bucket != bucket:
            continue
        if tempo and (f"{one.prefix}/".startswith(f"{tempo}/") or f"{tempo}/".startswith(f"{one.prefix}/")):
            wiring.wrong(
                one.where.key("prefix"),
                f"'{one.prefix}' and tempo_s3_prefix '{tempo}' of the bucket {bucket} are one inside the other",
                "Give the recordings a prefix beside Tempo's, or a bucket of their own.",
            )
        elif not tempo and one.prefix.partition("/")[0] == "single-tenant":
            wiring.wrong(
                one.where.key("prefix"),
                f"'{one.prefix}' is inside single-tenant, where Tempo keeps its blocks in the bucket {bucket}",
                "Give the recordings another prefix, or a bucket of their own.",
            )
        elif not tempo and "tempo_s3_prefix" in v:
            wiring.findings.append(
                warning(
                    one.where.key("prefix"),
                    f"'{one.prefix}' is in Tempo's bucket {bucket}, and tempo_s3_prefix is empty",
                    "Name another bucket for the recordings, or set tempo_s3_prefix before Tempo writes anything.",
                    "Tempo then takes every folder of the bucket for a tenant and lists the recordings at each poll",
                )
            )


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        return parts if parts.port is not None or parts.hostname else None
    except ValueError:
        return None


def _url(fields: Fields, key: str, otlp: bool = True) -> str:
    """otlp: whether the exporter appends /v1/traces or /v1/logs, and ports say something about the protocol."""
    url = fields.text(key, remedy="Give a URL that begins with https:// or http://.")
    if not url:
        return ""
    parts = _split(url)
    if "://" not in url:
        scheme = "http" if otlp and fields.where.variable == "collector_tempo_endpoint" else "https"
        fields.wrong(key, f"'{url}' has no scheme", f"Write {scheme}://{url}.")
    elif parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        fields.wrong(key, f"'{url.partition('?')[0]}' is not a URL", "Begin it with https:// or http://, then a host.")
    elif parts.username or parts.password:
        fields.wrong(key, "holds a user name or password", "Use auth: {basic: …} with a Secret.")
    elif otlp and parts.port == 4317:
        fields.wrong(key, f"'{url}' has port 4317, which is OTLP/gRPC's", "Use port 4318, or protocol: grpc.")
    elif otlp and key == "endpoint" and (found := re.search(r"/v1/(traces|logs)$", parts.path.rstrip("/"))):
        shorter = url.rstrip("/").removesuffix(found[0])
        fields.wrong(
            key,
            f"'{url}' ends in {found[0]}, which the exporter appends itself",
            f"Write {shorter}, or name the whole URL in {URLS[found[1]]}.",
        )
    return url


def _host_port(fields: Fields, key: str) -> str:
    target = fields.text(key, remedy="Give host:port.")
    if not target:
        return ""
    if "://" in target:
        bare = target.partition("://")[2].rstrip("/")
        fields.wrong(key, f"'{target}' has a scheme", f"Write {bare} for protocol grpc, or choose protocol: http.")
    elif not HOST_PORT.fullmatch(target):
        fields.wrong(key, f"'{target}' is not host:port", "Write host:4317, or a URL for protocol http.")
    elif target.endswith(":4318"):
        fields.wrong(key, f"'{target}' has port 4318, which is OTLP/HTTP's", "Use port 4317, or protocol: http.")
    return target
