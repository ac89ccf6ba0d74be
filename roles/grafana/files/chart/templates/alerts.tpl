{{- with .Values.alerts }}
{{- if .document }}
---
{{- if eq .kind "PrometheusRule" }}
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
{{- else }}
apiVersion: v1
kind: ConfigMap
{{- end }}
metadata:
  name: orion-tracing-alerts
  namespace: {{ $.Release.Namespace }}
  labels:
    {{- include "grafana.labels" $ | nindent 4 }}
    {{- with .labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- if eq .kind "PrometheusRule" }}
spec:
  {{- toYaml .document | nindent 2 }}
{{- else }}
data:
  orion-tracing-alerts.yaml: |
    {{- toYaml .document | nindent 4 }}
{{- end }}
{{- end }}
{{- end }}
