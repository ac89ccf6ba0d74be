{{/* Labels that select the pods. Arguments: root, name. They are immutable, so nothing may be added later. */}}
{{- define "backends.selector" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{/* The image to run: the digest decides where there is one. Argument: the values of image. */}}
{{- define "backends.image" -}}
{{ .repository }}:{{ .tag }}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}

{{/* A tag as the value of a label: at most 63 characters, a letter or digit at both ends. */}}
{{- define "backends.version" -}}
{{- regexReplaceAll "^[_.-]+|[_.-]+$" (trunc 63 .) "" }}
{{- end }}

{{/* Labels of every object. Arguments: root, name. */}}
{{- define "backends.labels" -}}
{{ include "backends.selector" . }}
app.kubernetes.io/version: {{ include "backends.version" (index .root.Values .name).image.tag | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{/* 80 % of a size in Mi or Gi, as Go's GOMEMLIMIT and VictoriaLogs have it. Argument: the size. */}}
{{- define "backends.mostOf" -}}
{{- $mebibytes := trimSuffix "Mi" . | int -}}
{{- if hasSuffix "Gi" . }}{{ $mebibytes = mul 1024 (trimSuffix "Gi" . | int) }}{{ end -}}
{{- div (mul $mebibytes 80) 100 }}MiB
{{- end }}

{{/* Of a memory limit: https://pkg.go.dev/runtime#hdr-Environment_Variables */}}
{{- define "backends.goMemLimit" -}}
{{- include "backends.mostOf" . }}
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
