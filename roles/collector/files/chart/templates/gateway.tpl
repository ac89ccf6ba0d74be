{{- $tier := list . "gateway" }}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "otel-collector.name" $tier }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "otel-collector.labels" $tier | nindent 4 }}
spec:
  type: ClusterIP
  selector:
    {{- include "otel-collector.selector" $tier | nindent 4 }}
  ports:
    {{- range include "otel-collector.receiverPorts" . | fromYamlArray }}
    - name: {{ .name }}
      port: {{ .port }}
      targetPort: {{ .name }}
      protocol: TCP
      appProtocol: {{ .appProtocol }}
    {{- end }}
{{- with .Values.edgeReceiver }}
{{- if .enabled }}
---
# Of its own, so that a load balancer exposes nothing without TLS and a token.
apiVersion: v1
kind: Service
metadata:
  name: {{ include "otel-collector.name" $tier }}-edge
  namespace: {{ $.Release.Namespace }}
  labels:
    {{- include "otel-collector.labels" $tier | nindent 4 }}
  {{- with .serviceAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ .serviceType }}
  selector:
    {{- include "otel-collector.selector" $tier | nindent 4 }}
  ports:
    {{- range include "otel-collector.edgePorts" $ | fromYamlArray }}
    - name: {{ .name }}
      port: {{ .port }}
      targetPort: {{ .name }}
      protocol: TCP
      {{- with .appProtocol }}
      appProtocol: {{ . }}
      {{- end }}
    {{- end }}
{{- end }}
{{- end }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "otel-collector.name" $tier }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "otel-collector.labels" $tier | nindent 4 }}
spec:
  replicas: {{ .Values.gateway.replicas }}
  selector:
    matchLabels:
      {{- include "otel-collector.selector" $tier | nindent 6 }}
  strategy:
    type: RollingUpdate
    # All at once: gateways of different versions may route one trace to different samplers, so the time in which
    # both run should be short.
    rollingUpdate:
      maxSurge: 100%
      maxUnavailable: 0
  template:
    {{- include "otel-collector.pod" $tier | nindent 4 }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "otel-collector.name" $tier }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "otel-collector.labels" $tier | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "otel-collector.selector" $tier | nindent 6 }}
