apiVersion: v1
kind: ConfigMap
metadata:
  name: trace-probe
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "trace-probe.labels" . | nindent 4 }}
data:
  settings.json: |
    {{- .Values.settings | nindent 4 }}
  {{- range $path, $text := .Values.program }}
  {{ include "trace-probe.key" $path }}: |
    {{- $text | nindent 4 }}
  {{- end }}
