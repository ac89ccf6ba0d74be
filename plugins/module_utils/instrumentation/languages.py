# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""What it takes to instrument a container, one description per language. Data only: no I/O, no Ansible.

Annotations, object names, paths and commands are those of the OpenTelemetry Operator, so that annotated workloads and
agent images work with either. Differences: the Java agent has one mount path for all containers, and mounts are
read-only.
Source: https://github.com/open-telemetry/opentelemetry-operator, internal/instrumentation (python.go, javaagent.go,
nodejs.go, dotnet.go, annotation.go), pkg/constants/env.go
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PREFIX = "instrumentation.opentelemetry.io/"
CONTAINER_NAMES = f"{PREFIX}container-names"
# Behind it stands the name of a resource attribute.
RESOURCE_PREFIX = "resource.opentelemetry.io/"

SERVICE_NAME = "OTEL_SERVICE_NAME"
RESOURCE_ATTRIBUTES = "OTEL_RESOURCE_ATTRIBUTES"
# A container that has it is instrumented already, by a policy or by the operator.
POD_NAME = "OTEL_RESOURCE_ATTRIBUTES_POD_NAME"
POD_UID = "OTEL_RESOURCE_ATTRIBUTES_POD_UID"
NODE_NAME = "OTEL_RESOURCE_ATTRIBUTES_NODE_NAME"
# Environment variable → field of the pod, by the downward API.
FIELDS = {POD_NAME: "metadata.name", POD_UID: "metadata.uid", NODE_NAME: "spec.nodeName"}

SAMPLER, SAMPLER_ARGUMENT = "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"
# The samplers that every SDK has, and whether the argument counts.
# Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#general-sdk-configuration
SAMPLERS = {
    "always_on": False,
    "always_off": False,
    "traceidratio": True,
    "parentbased_always_on": False,
    "parentbased_always_off": False,
    "parentbased_traceidratio": True,
}
PROTOCOLS = ("http/protobuf", "grpc")

IMAGES = "ghcr.io/open-telemetry/opentelemetry-operator"
# How the tags of the images that this project builds end. They copy baggage to spans.
OWN_TAG = "-orion"
# The init container's user. Any user can write to an emptyDir, and the agents' files can be read by all.
USER = 10001
# Of the init container: what Pod Security "restricted" demands, and a read-only root.
RESTRICTED: dict[str, Any] = {
    "runAsNonRoot": True,
    "runAsUser": USER,
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


@dataclass(frozen=True)
class Extended:
    """An environment variable that is a list: the container's own value is kept between before and after.

    alone: the value where the container has none.
    """

    name: str
    alone: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True)
class Language:
    """image: the last part of the agent image's repository, "" where nothing is copied; tag: upstream's.
    source: what the init container copies; into: below the mount path, as what.
    platform_annotation: names the C library; platforms: its values → source and the settings that differ, the first
    is the default.
    settings: environment variables and their values. refused: with one of these a container is left alone.
    baggage: the variable that lists which baggage entries become span attributes. baggage_upstream: whether upstream's
    image reads it too. correlated, uncorrelated: settings with and without trace ids in logs. logged, unlogged: those
    with and without logs that are sent, beside OTEL_LOGS_EXPORTER.
    operator_sets: settings that the operator makes itself, and refuses in its resource.
    protocols, propagators: what the agent image has.
    """

    name: str
    title: str
    image: str = ""
    tag: str = ""
    source: str = ""
    into: str = ""
    platform_annotation: str = ""
    platforms: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    musl_source: str = ""
    extended: tuple[Extended, ...] = ()
    refused: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    baggage: str = ""
    baggage_upstream: bool = False
    correlated: Mapping[str, str] = field(default_factory=dict)
    uncorrelated: Mapping[str, str] = field(default_factory=dict)
    logged: Mapping[str, str] = field(default_factory=dict)
    unlogged: Mapping[str, str] = field(default_factory=dict)
    operator_sets: tuple[str, ...] = ()
    protocols: tuple[str, ...] = PROTOCOLS
    propagators: tuple[str, ...] = ("tracecontext", "baggage", "b3", "b3multi", "jaeger", "xray", "ottrace")

    @property
    def annotation(self) -> str:
        return f"{PREFIX}inject-{self.name}"

    @property
    def container_names(self) -> str:
        return f"{PREFIX}{self.name}-container-names"

    @property
    def injected(self) -> str:
        """Name of the init container and of the volume."""
        return f"opentelemetry-auto-instrumentation-{self.name}" if self.image else ""

    @property
    def mount_path(self) -> str:
        return f"/otel-auto-instrumentation-{self.name}" if self.image else ""

    def command(self, source: str) -> list[str]:
        """The init container's command."""
        recursive = ["-r"] if source.endswith("/.") else []
        return ["cp", *recursive, source, self.mount_path + (f"/{self.into}" if self.into else "")]

    @property
    def sources(self) -> dict[str, str]:
        """What is copied, by the value of platform_annotation, "" for none."""
        musl = {value: self.musl_source for value in self.platforms if "musl" in value and self.musl_source}
        return {"": self.source, **dict.fromkeys(self.platforms, self.source), **musl}


# The stable names of HTTP and database attributes. Java's agent also has names of messaging and code behind opt-ins.
# Source: https://opentelemetry.io/docs/specs/semconv/non-normative/http-migration/ and db-migration/
STABLE = {"OTEL_SEMCONV_STABILITY_OPT_IN": "http,database"}

_PYTHON, _JAVA, _NODEJS, _DOTNET = (
    f"/otel-auto-instrumentation-{name}" for name in ("python", "java", "nodejs", "dotnet")
)
_AGENT = f"-javaagent:{_JAVA}/javaagent.jar"
_REQUIRE = f"--require {_NODEJS}/autoinstrumentation.js"
_OURS = "OTEL_BAGGAGE_SPAN_ATTRIBUTES"

PYTHON = Language(
    name="python",
    title="Python",
    image="autoinstrumentation-python",
    tag="0.65b0",
    source="/autoinstrumentation/.",
    musl_source="/autoinstrumentation-musl/.",
    platform_annotation=f"{PREFIX}otel-python-platform",
    platforms={"glibc": {}, "musl": {}},
    extended=(
        Extended(
            "PYTHONPATH",
            f"{_PYTHON}/opentelemetry/instrumentation/auto_instrumentation:{_PYTHON}",
            f"{_PYTHON}/opentelemetry/instrumentation/auto_instrumentation:",
            f":{_PYTHON}",
        ),
    ),
    settings={
        **STABLE,
        # Its spans double those of the database drivers, whose db.operation.name is the right one.
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "sqlalchemy",
        # Each probe of the kubelet would be a trace.
        "OTEL_PYTHON_EXCLUDED_URLS": "/healthz$,/livez$,/readyz$",
    },
    baggage=_OURS,
    # Calls logging.basicConfig with a format that has the ids, before the application runs.
    correlated={"OTEL_PYTHON_LOG_CORRELATION": "true"},
    uncorrelated={"OTEL_PYTHON_LOG_CORRELATION": "false"},
    # A handler of the root logger that makes OTLP records. logging.basicConfig and dictConfig leave it where it is.
    # Source: opentelemetry/instrumentation/logging/handler.py of opentelemetry-instrumentation-logging 0.65b0
    logged={"OTEL_PYTHON_LOG_AUTO_INSTRUMENTATION": "true"},
    unlogged={"OTEL_PYTHON_LOG_AUTO_INSTRUMENTATION": "false"},
    # gRPC's wheels depend on the Python version, so the image does not have it.
    # Source: autoinstrumentation/python/requirements.txt of the operator
    protocols=("http/protobuf",),
)

JAVA = Language(
    name="java",
    title="Java",
    image="autoinstrumentation-java",
    tag="2.31.0",
    source="/javaagent.jar",
    into="javaagent.jar",
    extended=(Extended("JAVA_TOOL_OPTIONS", _AGENT, after=f" {_AGENT}"),),
    settings={
        "OTEL_SEMCONV_STABILITY_OPT_IN": "http,database,messaging,code",
        # Passwords in system properties (-Dspring.datasource.password=…) would be in every resource.
        "OTEL_RESOURCE_DISABLED_KEYS": "process.command_args,process.command_line",
    },
    baggage="OTEL_JAVA_EXPERIMENTAL_SPAN_ATTRIBUTES_COPY_FROM_BAGGAGE_INCLUDE",
    baggage_upstream=True,
    # The agent adds trace_id and span_id to the MDC unless told otherwise.
    # Source: https://opentelemetry.io/docs/zero-code/java/agent/disable/
    uncorrelated={
        "OTEL_INSTRUMENTATION_LOGBACK_MDC_ENABLED": "false",
        "OTEL_INSTRUMENTATION_LOG4J_CONTEXT_DATA_ENABLED": "false",
        "OTEL_INSTRUMENTATION_LOG4J_MDC_ENABLED": "false",
        "OTEL_INSTRUMENTATION_JBOSS_LOGMANAGER_MDC_ENABLED": "false",
    },
    # The appenders of Logback, Log4j and java.util.logging need nothing else to send records. Key-value pairs of SLF4J
    # are in the agent's records only with this. Agents from 2.33 on log once that it has another name, which 2.31 does
    # not have (otel.instrumentation.common.logging.structured-attributes.included).
    # Source: instrumentation/logback/logback-appender-1.0/javaagent/README.md of opentelemetry-java-instrumentation
    logged={"OTEL_INSTRUMENTATION_LOGBACK_APPENDER_EXPERIMENTAL_CAPTURE_KEY_VALUE_PAIR_ATTRIBUTES": "true"},
)

_NOISE = "dns,fs,net,router"

NODEJS = Language(
    name="nodejs",
    title="Node.js",
    image="autoinstrumentation-nodejs",
    tag="0.78.0",
    source="/autoinstrumentation/.",
    extended=(Extended("NODE_OPTIONS", _REQUIRE, after=f" {_REQUIRE}"),),
    settings={
        **STABLE,
        # Not all of them: those of clouds wait for metadata servers at start, and process adds the command line.
        # Source: @opentelemetry/auto-instrumentations-node, README, OTEL_NODE_RESOURCE_DETECTORS
        "OTEL_NODE_RESOURCE_DETECTORS": "env,host,os",
        # Spans of every name resolution, file and socket; and router doubles those of express.
        "OTEL_NODE_DISABLED_INSTRUMENTATIONS": _NOISE,
    },
    baggage=_OURS,
    # The instrumentations of these libraries add trace_id and span_id by default, and send records where
    # OTEL_LOGS_EXPORTER asks for it; winston's needs the package @opentelemetry/winston-transport in the application.
    uncorrelated={"OTEL_NODE_DISABLED_INSTRUMENTATIONS": f"{_NOISE},bunyan,pino,winston"},
    # Source: getPropagatorFromEnv of @opentelemetry/sdk-node
    propagators=("tracecontext", "baggage", "b3", "b3multi", "jaeger"),
)

_PROFILER = "OpenTelemetry.AutoInstrumentation.Native.so"

DOTNET = Language(
    name="dotnet",
    title=".NET",
    image="autoinstrumentation-dotnet",
    tag="1.16.0",
    source="/autoinstrumentation/.",
    platform_annotation=f"{PREFIX}otel-dotnet-auto-runtime",
    platforms={
        "linux-x64": {"CORECLR_PROFILER_PATH": f"{_DOTNET}/linux-x64/{_PROFILER}"},
        "linux-musl-x64": {"CORECLR_PROFILER_PATH": f"{_DOTNET}/linux-musl-x64/{_PROFILER}"},
    },
    extended=tuple(
        Extended(name, value, after=f":{value}")
        for name, value in {
            "DOTNET_STARTUP_HOOKS": f"{_DOTNET}/net/OpenTelemetry.AutoInstrumentation.StartupHook.dll",
            "DOTNET_ADDITIONAL_DEPS": f"{_DOTNET}/AdditionalDeps",
            "DOTNET_SHARED_STORE": f"{_DOTNET}/store",
        }.items()
    ),
    # The application brings the agent itself.
    refused=("OTEL_DOTNET_AUTO_HOME",),
    settings={
        **STABLE,
        "CORECLR_ENABLE_PROFILING": "1",
        "CORECLR_PROFILER": "{918728DD-259F-4A6A-AC2B-B85E1B658318}",
        "OTEL_DOTNET_AUTO_HOME": _DOTNET,
    },
    operator_sets=("CORECLR_ENABLE_PROFILING", "CORECLR_PROFILER", "OTEL_DOTNET_AUTO_HOME"),
    # Source: https://opentelemetry.io/docs/zero-code/dotnet/configuration/#propagators
    propagators=("tracecontext", "baggage", "b3", "b3multi"),
)

SDK = Language(name="sdk", title="an SDK of its own", settings=STABLE)

LANGUAGES = {language.name: language for language in (PYTHON, JAVA, NODEJS, DOTNET, SDK)}
# Those that bring an agent: a container can have only one of them.
AGENTS = tuple(language for language in LANGUAGES.values() if language.image)
# Annotations of the operator that no policy carries out: Go needs privileges, the others are web servers' modules.
OPERATOR_ONLY = ("go", "apache-httpd", "nginx")
