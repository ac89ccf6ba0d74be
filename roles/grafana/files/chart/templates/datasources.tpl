apiVersion: v1
kind: {{ .Values.kind }}
metadata:
  name: {{ .Release.Name }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "grafana.labels" . | nindent 4 }}
    {{- toYaml .Values.labels | nindent 4 }}
{{- if eq .Values.kind "Secret" }}
type: Opaque
data:
  orion-tracing.yaml: {{ toYaml .Values.document | b64enc }}
{{- else }}
data:
  orion-tracing.yaml: |
    {{- toYaml .Values.document | nindent 4 }}
{{- end }}
