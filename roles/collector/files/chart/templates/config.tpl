{{- range $tier := list "gateway" "sampler" }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "otel-collector.name" (list $ $tier) }}
  namespace: {{ $.Release.Namespace }}
  labels:
    {{- include "otel-collector.labels" (list $ $tier) | nindent 4 }}
data:
  collector.yaml: |
    {{- include "otel-collector.config" (list $ $tier) | nindent 4 }}
{{- end }}
