{{/* Labels that select the pods. Arguments: root, name. They are immutable, so nothing may be added later. */}}
{{- define "backends.selector" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{/* Labels of every object. Arguments: root, name. */}}
{{- define "backends.labels" -}}
{{ include "backends.selector" . }}
app.kubernetes.io/version: {{ (index .root.Values .name).image.tag | trunc 63 | trimSuffix "-" | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{/* 80 % of a memory limit in Mi or Gi, in the form of GOMEMLIMIT: https://pkg.go.dev/runtime#hdr-Environment_Variables */}}
{{- define "backends.goMemLimit" -}}
{{- $mebibytes := trimSuffix "Mi" . | int -}}
{{- if hasSuffix "Gi" . }}{{ $mebibytes = mul 1024 (trimSuffix "Gi" . | int) }}{{ end -}}
{{- div (mul $mebibytes 80) 100 }}MiB
{{- end }}

{{- define "backends.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Argument: the numeric user of the image. */}}
{{- define "backends.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}
