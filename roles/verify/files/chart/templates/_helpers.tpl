{{/* Labels that select the pods. */}}
{{- define "trace-probe.selector" -}}
app.kubernetes.io/name: trace-probe
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "trace-probe.labels" -}}
{{ include "trace-probe.selector" . }}
app.kubernetes.io/part-of: tracing
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* A file's path as a key of the ConfigMap. */}}
{{- define "trace-probe.key" -}}
{{ replace "/" "." . }}
{{- end }}
