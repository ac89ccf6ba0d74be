{{- if .Values.priorityClass.create }}
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata:
  name: {{ .Values.priorityClassName }}
  labels:
    {{- include "otel-collector.labels" (list . "gateway") | nindent 4 }}
value: {{ int64 .Values.priorityClass.value }}
globalDefault: false
description: OpenTelemetry Collectors of the tracing platform in {{ .Release.Namespace }}
{{- end }}
