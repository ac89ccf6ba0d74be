apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-config
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "tempo.labels" . | nindent 4 }}
data:
  tempo.yaml: |
    {{- /* Whatever the password consists of (but for a quote), it stays one string when Tempo has expanded it. */}}
    {{- toYaml .Values.config | replace "${TEMPO_KAFKA_USERNAME}" "'${TEMPO_KAFKA_USERNAME}'" | replace "${TEMPO_KAFKA_PASSWORD}" "'${TEMPO_KAFKA_PASSWORD}'" | nindent 4 }}
