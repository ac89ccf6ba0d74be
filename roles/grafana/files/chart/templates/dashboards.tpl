{{- range $uid, $text := .Values.dashboards.items }}
{{- /* The API server refuses a larger one: https://kubernetes.io/docs/concepts/configuration/configmap/#motivation */}}
{{- if gt (len $text) 1048000 }}
{{- fail (printf "dashboard %s has %d bytes, more than a ConfigMap can hold" $uid (len $text)) }}
{{- end }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: grafana-{{ $uid }}
  namespace: {{ $.Release.Namespace }}
  labels:
    {{- include "grafana.labels" $ | nindent 4 }}
    {{- toYaml $.Values.dashboards.labels | nindent 4 }}
  {{- with $.Values.dashboards.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
data:
  {{ $uid }}.json: {{ $text | toJson }}
{{- end }}
