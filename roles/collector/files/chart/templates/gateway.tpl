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
  {{- if not .Values.gateway.autoscaling.enabled }}
  replicas: {{ .Values.gateway.replicas }}
  {{- end }}
  selector:
    matchLabels:
      {{- include "otel-collector.selector" $tier | nindent 6 }}
  strategy:
    type: RollingUpdate
    rollingUpdate:
      {{- toYaml .Values.gateway.rollingUpdate | nindent 6 }}
  template:
    {{- include "otel-collector.pod" $tier | nindent 4 }}
{{- with .Values.gateway.autoscaling }}
{{- if .enabled }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "otel-collector.name" $tier }}
  namespace: {{ $.Release.Namespace }}
  labels:
    {{- include "otel-collector.labels" $tier | nindent 4 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "otel-collector.name" $tier }}
  minReplicas: {{ .minReplicas }}
  maxReplicas: {{ .maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ .targetCPUUtilization }}
  # Connections over gRPC last five minutes (max_connection_age): a new gateway gets its share of the load only then, and
  # the load of one that is taken away moves at once to those that its clients connect to next.
  behavior:
    scaleUp:
      stabilizationWindowSeconds: 0
      selectPolicy: Max
      policies:
        - {type: Percent, value: 100, periodSeconds: 60}
    scaleDown:
      stabilizationWindowSeconds: {{ .scaleDownStabilizationSeconds }}
      selectPolicy: Max
      policies:
        - {type: Pods, value: 1, periodSeconds: 300}
{{- end }}
{{- end }}
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
